// The module from the same client library: `node ours.mjs push|work <port> <workflows>`.
//
// No library stands between: 100 loops on one connection claim a task, complete it, claim the next.

import { Redis } from "ioredis";
import { CHAIN, payload } from "./documents.mjs";

const [word, port, count] = process.argv.slice(2);
const workflows = Number(count);
const redis = new Redis({ host: "127.0.0.1", port: Number(port) });
const BATCH = 100;
const LOOPS = 100;

function chain(workflow) {
  const task = (number) => ({
    name: `t${number}`,
    type: "t",
    payload: payload(workflow, number),
    parents: number ? [`t${number - 1}`] : [],
  });
  return JSON.stringify({ tasks: Array.from({ length: CHAIN }, (_, number) => task(number)) });
}

async function push() {
  for (let first = 0; first < workflows; first += BATCH) {
    const numbers = Array.from({ length: Math.min(BATCH, workflows - first) }, (_, place) => first + place);
    await Promise.all(numbers.map((number) => redis.call("WF.PUSH", "q", chain(number))));
  }
}

async function work() {
  let left = workflows * CHAIN;
  const loop = async (_, number) => {
    while (left > 0) {
      const tasks = await redis.call("WF.CLAIM", "q", `w${number}`);
      for (const [token] of tasks) {
        await redis.call("WF.COMPLETE", "q", token);
        left--;
      }
    }
  };
  await Promise.all(Array.from({ length: LOOPS }, loop));
}

await redis.ping();
const start = performance.now();
await (word === "push" ? push() : work());
console.log((performance.now() - start) / 1000);
process.exit(0);
