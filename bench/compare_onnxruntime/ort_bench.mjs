// One ONNX Runtime process: loads a graph, runs it, prints one line of JSON.
//
//     node ort_bench.mjs GRAPH.onnx --threads 2 --warmup 3 --runs 20 [--expected VALUES.json]
//
// With --runs 0 --warmup 1 it is what a program does that needs one result.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import * as ort from 'onnxruntime-node';

const { values: options, positionals: [graph] } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string', default: '1' },
    warmup: { type: 'string', default: '3' },
    runs: { type: 'string', default: '20' },
    expected: { type: 'string' },
  },
});
const [threads, warmup, runs] = [options.threads, options.warmup, options.runs].map(Number);
const memoryBefore = process.memoryUsage.rss();

let start = performance.now();
const session = await ort.InferenceSession.create(graph, {
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
});
const load = performance.now() - start;

// The picture of export.py: a multiplicative hash of the index.
const { name, shape } = session.inputMetadata[0];
const pixels = new Float32Array(shape.reduce((a, b) => a * b, 1));
for (let i = 0; i < pixels.length; i++) pixels[i] = (Math.imul(i, 2654435761) >>> 0) / 2 ** 31 - 1;
const feeds = { [name]: new ort.Tensor('float32', pixels, shape) };
const run = async () => {
  start = performance.now();
  const outputs = await session.run(feeds);
  return [performance.now() - start, outputs[session.outputNames[0]].data];
};

const [first, output] = await run();
const error = options.expected && difference(output, JSON.parse(fs.readFileSync(options.expected, 'utf8')));
for (let i = 1; i < warmup; i++) await run();
const times = [];
for (let i = 0; i < runs; i++) times.push((await run())[0]);
times.sort((a, b) => a - b);

console.log(JSON.stringify({
  version: createRequire(import.meta.url)('onnxruntime-node/package.json').version,
  threads,
  runs,
  load_ms: load,
  first_ms: first,
  ...runs > 0 && { minimum_ms: times[0], median_ms: (times[(runs - 1) >> 1] + times[runs >> 1]) / 2 },
  node_memory_bytes: memoryBefore,
  ...error !== undefined && { error },
}));

/** The largest absolute difference by the largest absolute value. */
function difference(actual, expected) {
  if (actual.length !== expected.length) throw new Error(`${graph} gives ${actual.length} values; ${expected.length} were expected.`);
  let most = 0, scale = 0;
  for (let i = 0; i < expected.length; i++) {
    scale = Math.max(scale, Math.abs(expected[i]));
    most = Math.max(most, Math.abs(actual[i] - expected[i]));
  }
  return most / scale;
}
