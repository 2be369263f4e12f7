// BullMQ: `node bullmq.mjs push|work <port> <workflows>`. Prints how many seconds it took.
//
// A flow is a tree whose parents run after their children, so a chain is a job in a job in a job.
// Its fastest way is taken: flows are added in bulk, and one worker runs 100 jobs at a time.

import { FlowProducer, Worker } from "bullmq";
import { CHAIN, payload } from "./documents.mjs";

const [word, port, count] = process.argv.slice(2);
const workflows = Number(count);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
const BATCH = 100;
const CONCURRENCY = 100;

function chain(workflow) {
  let flow;
  for (let task = 0; task < CHAIN; task++) {
    flow = { name: `t${task}`, queueName: "t", data: payload(workflow, task), children: flow ? [flow] : [] };
  }
  return flow;
}

async function push() {
  const producer = new FlowProducer({ connection });
  await producer.waitUntilReady();
  const start = performance.now();
  for (let first = 0; first < workflows; first += BATCH) {
    const numbers = Array.from({ length: Math.min(BATCH, workflows - first) }, (_, place) => first + place);
    await producer.addBulk(numbers.map(chain));
  }
  const seconds = (performance.now() - start) / 1000;
  await producer.close();
  return seconds;
}

async function work() {
  let left = workflows * CHAIN;
  const worker = new Worker("t", async () => null, { connection, concurrency: CONCURRENCY, autorun: false });
  await worker.waitUntilReady();
  const start = performance.now();
  const over = new Promise((resolve) => worker.on("completed", () => --left || resolve()));
  worker.run();
  await over;
  const seconds = (performance.now() - start) / 1000;
  await worker.close();
  return seconds;
}

console.log(await (word === "push" ? push() : work()));
process.exit(0);
