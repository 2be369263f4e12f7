// The work that every peer is given: chains of ten tasks with payloads of 7 bytes, each different.

export const CHAIN = 10;

export const payload = (workflow, task) => String(workflow * CHAIN + task).padStart(7, "0");
