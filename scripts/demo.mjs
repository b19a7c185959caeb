// npm run demo: compiles a small trained Llama with its recipe, then runs float and quantized side by side on stock ONNX Runtime.
import { spawnSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const model = 'test/models/llama/model.onnx';
const recipe = 'recipes/llama/llama.qrecipe';
const out = 'out/demo/llama.onnx';
const report = 'out/demo/report.html';

function qc(...args) {
  const json = args.includes('--json');
  const done = spawnSync(process.execPath, ['dist/cli.js', ...args], { stdio: ['inherit', json ? 'pipe' : 'inherit', 'inherit'], encoding: 'utf8' });
  if (done.status !== 0) process.exit(done.status ?? 3);
  return json ? JSON.parse(done.stdout) : undefined;
}

/** Feeds of one run: `tokens` new tokens after `past` tokens in the cache. Speed does not hang on the values. */
function feeds(session, tokens, past) {
  const zeros = (shape) => new Tensor('float32', new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
  const ints = (n, f) => new Tensor('int64', BigInt64Array.from({ length: n }, (_, i) => BigInt(f(i))), [1, n]);
  const fixed = { input_ids: ints(tokens, (i) => 2 + ((i * 37) % 2000)), attention_mask: ints(past + tokens, () => 1), position_ids: ints(tokens, (i) => past + i) };
  return Object.fromEntries(session.inputNames.map((n) => [n, fixed[n] ?? zeros([1, 2, past, 32])]));
}

/** Median milliseconds of each session, turn by turn so that both see the same machine. */
async function race(sessions, tokens, past, rounds) {
  const inputs = sessions.map((s) => feeds(s, tokens, past));
  const times = sessions.map(() => []);
  for (let round = -3; round < rounds; round++)
    for (const [i, s] of sessions.entries()) {
      const started = performance.now();
      await s.run(inputs[i], ['logits']);
      if (round >= 0) times[i].push(performance.now() - started);
    }
  return times.map((t) => t.sort((a, b) => a - b)[t.length >> 1]);
}

mkdirSync('out/demo', { recursive: true });
console.log(`\n$ qc compile ${model} ${recipe} -o ${out} --target ort --report ${report} --force`);
qc('compile', model, recipe, '-o', out, '--target', 'ort', '--report', report, '--force');

console.log('\nAccuracy on held-out text (test/models/llama/eval) …');
const { metrics } = qc('eval', model, out, '--data', 'test/models/llama', '--json', '--quiet');

const sessions = await Promise.all([model, out].map((path) => InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 })));
const prefill = await race(sessions, 128, 0, 15);
const decode = await race(sessions, 1, 256, 60);
const sizes = [model, out].map((path) => statSync(path).size);

const row = (name, float, quantized, ratio) => console.log(`${name.padEnd(34)}${float.padStart(12)}${quantized.padStart(12)}${ratio.padStart(10)}`);
const ratio = (a, b) => `${(b / a).toFixed(2)}x`;
console.log('\nllama (4.4 M parameters)');
row('', 'float32', 'quantized', 'ratio'); // below 1: smaller, faster
row('size', `${(sizes[0] / 1e6).toFixed(2)} MB`, `${(sizes[1] / 1e6).toFixed(2)} MB`, ratio(...sizes));
// The error of nll_diff and the rest is in `qc eval`; here what a person asks first.
for (const m of metrics.filter((m) => ['perplexity', 'agreement', 'kl'].includes(m.name))) row(m.name, m.float === undefined ? '' : String(Number(m.float.toPrecision(4))), String(Number(m.value.toPrecision(4))), '');
row('128 tokens at once, 1 thread', `${prefill[0].toFixed(1)} ms`, `${prefill[1].toFixed(1)} ms`, ratio(...prefill));
row('one token after 256, 1 thread', `${decode[0].toFixed(2)} ms`, `${decode[1].toFixed(2)} ms`, ratio(...decode));
console.log(`\nThe report: ${report}`);
await Promise.all(sessions.map((s) => s.release()));
