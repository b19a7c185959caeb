// usage: tsx test/native/hostile.ts CASES SEED: that many models of one operator each, the operators of qc.v1 in turn. HOSTILE_LOG=1 prints a case before it runs.
// Ends with status 1 at an error that does not name the operator.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attr, Model, Tensor } from '../../compiler/graph/types.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import { held, node } from '../../compiler/lower/make.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { findAddon } from '../../runtime/addon.ts';
import { packageFolder } from '../../runtime/crunch.ts';
import '../../runtime/index.ts';
import { modelOf } from '../targets/build.ts';

const [cases = 120, seed = 1] = process.argv.slice(2).map(Number);
const found = await findAddon(await packageFolder());
if (typeof found === 'string') throw new Error(found);
let state = seed >>> 0;
const random = (n: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
};
const pick = <T>(of: readonly T[]): T => of[random(of.length)]!;

/** Sizes that are likely to fit each other, and some that never do. */
const size = () => pick([1, 1, 2, 3, 4, 8, 16, 32, 33, 64, 128, 0]);
const shape = (rank: number) => Array.from({ length: rank }, size);
const types = ['float32', 'float32', 'float32', 'uint8', 'int8', 'int64', 'float16'] as const;
const widths = { float32: 4, uint8: 1, int8: 1, int64: 8, float16: 2 } as const;

function tensor(): Tensor {
  const type = pick(types);
  const dims = shape(pick([0, 1, 2, 3, 3, 4]));
  const bytes = new Uint8Array(dims.reduce((a, b) => a * b, 1) * widths[type]);
  const fill = pick([0, 1, 127, 255]);
  // All bits set is NaN in floats, −1 in integers.
  bytes.fill(fill);
  return held(type, dims, bytes);
}
const int = () => pick([-1, 0, 1, 2, 4, 8, 16, 32, 64, 128, 2 ** 31, 2 ** 52, -(2 ** 40)]);
const attributes: readonly string[] = [
  'shape',
  'at',
  'axis',
  'zero',
  'group',
  'layout',
  'heads',
  'scale',
  'eps',
  'top',
  'lo',
  'hi',
  'shift',
  'middle',
  'bits',
  'sizes',
  'state',
  'clusters',
  'width',
  'size',
  'order',
  'steps',
  'channels',
  'groups',
  'factor',
  'norm',
  'kernel',
  'dim',
  'rank',
  'epilogue',
  'activation',
  'version',
];
function attribute(name: string): Attr {
  if (name === 'layout') return { type: 'int', value: pick([1, 1, 1, 2]) };
  switch (random(3)) {
    case 0:
      return { type: 'ints', value: Array.from({ length: random(5) }, int) };
    case 1:
      return { type: 'int', value: int() };
    default:
      return { type: 'float', value: pick([0, 1, 1e-5, -1, 127, 7, Number.NaN, 1e38]) };
  }
}

const { InferenceSession, Tensor: Value } = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');
const host = await nodeHost();
const folder = mkdtempSync(join(tmpdir(), 'qc-hostile-'));
const operators = found.addon.operators('').map((o) => o.name);
const counts = { operators: operators.length, cases: 0, errors: 0, answers: 0 };
let bad: string | undefined;
for (let i = 0; i < cases && bad === undefined; i++) {
  const name = operators[i % operators.length]!;
  counts.cases++;
  const count = 1 + random(12);
  const initializers = Object.fromEntries(Array.from({ length: count }, (_, k) => [`i${k}`, tensor()]));
  const attrs = new Map(attributes.map((a) => [a, attribute(a)]));
  const rank = pick([1, 2, 3, 4]);
  const x = shape(rank);
  const base = modelOf({ nodes: [node('Identity', ['x'], ['y'])], input: x, initializers });
  const inputs = ['x', ...Object.keys(initializers)].map((v) => (random(12) === 0 ? '' : v));
  const op = { ...node(name, inputs, ['y']), domain: 'qc.v1', attrs };
  const model: Model = {
    ...base,
    opsets: new Map([...base.opsets, ['qc.v1', 1]]),
    graph: { ...base.graph, nodes: [op], outputs: [{ name: 'y' }] },
  };
  const file = join(folder, `${counts.cases}.onnx`);
  await writeModel(host, model, file, { dir: folder, external: false });
  if (process.env['HOSTILE_LOG'])
    console.error(JSON.stringify({ name, x, inputs: inputs.map((v) => initializers[v]?.shape), attrs: [...attrs] }));
  try {
    const session = await InferenceSession.create(file, { intraOpNumThreads: 1, logSeverityLevel: 4 });
    try {
      await session.run({ x: new Value('float32', new Float32Array(x.reduce((a, b) => a * b, 1)).fill(0.5), x) });
    } finally {
      await session.release();
    }
    counts.answers++;
  } catch (e) {
    counts.errors++;
    // ONNX Runtime's own checks (arity, types) name the operator too.
    if (!(e as Error).message.includes(name)) bad = `${name}: ${(e as Error).message}`;
  }
  rmSync(file);
}
await host.close();
rmSync(folder, { recursive: true });
if (bad !== undefined) {
  console.error(bad);
  process.exitCode = 1;
}
console.log(JSON.stringify(counts));
