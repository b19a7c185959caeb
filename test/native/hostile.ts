// usage: tsx test/native/hostile.ts CASES SEED [OPERATOR]: that many models of one operator each, the operators of qc.v1 in turn (or the one), each a case that fits
// (test/native/cases) of which one to three things are broken. HOSTILE_LOG=1 prints a case before it runs. Ends with status 1 at an error that does not
// name the operator. `npx tsx test/native/hostile.ts 100000 7` is a long run.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attr, DType, Tensor } from '../../compiler/graph/types.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import { held } from '../../compiler/lower/make.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { findAddon } from '../../runtime/addon.ts';
import { packageFolder } from '../../runtime/crunch.ts';
import '../../runtime/index.ts';
import { caseOf, dataOf, modelOfCase } from './cases/index.ts';

const [cases = 120, seed = 1] = process.argv.slice(2, 4).map(Number);
const found = await findAddon(await packageFolder());
if (typeof found === 'string') throw new Error(found);
let state = seed >>> 0;
const random = (n: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
};
const pick = <T>(of: readonly T[]): T => of[random(of.length)]!;

const widths = { float32: 4, float16: 2, uint8: 1, int8: 1, int32: 4, int64: 8 } as const;
type Known = keyof typeof widths;
const elements = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const bytesOf = (t: Tensor): Uint8Array => (t.source.kind === 'bytes' ? t.source.bytes : new Uint8Array());
/** The tensor with another type or shape: its bytes again and again. */
function reshaped(t: Tensor, dtype: DType, shape: readonly number[]): Tensor {
  const [from, to] = [bytesOf(t), new Uint8Array(elements(shape) * widths[dtype as Known])];
  if (from.length > 0) for (let i = 0; i < to.length; i++) to[i] = from[i % from.length]!;
  return held(dtype, shape, to);
}
/** Numbers that arithmetic does not survive: NaN, infinities, the largest, the smallest. */
const wild = [0x7fc00000, 0x7f800000, 0xff800000, 0x7f7fffff, 0xff7fffff, 1, 0x80000000, 0];

const spoil: Record<string, (t: Tensor) => Tensor> = {
  size(t) {
    const at = random(t.shape.length || 1);
    return reshaped(
      t,
      t.dtype,
      t.shape.map((d, i) => (i === at ? pick([0, 1, 2, 33, d + 1, Math.max(0, d - 1), 2 * d]) : d)),
    );
  },
  rank: (t) => reshaped(t, t.dtype, random(2) ? [pick([1, 2, 0]), ...t.shape] : t.shape.slice(1)),
  flat: (t) => reshaped(t, t.dtype, pick([[], [1], [0], [1, 1, 1, 1, 1], [elements(t.shape)]])),
  type: (t) => reshaped(t, pick(Object.keys(widths) as Known[]), t.shape),
  content(t) {
    const bytes = bytesOf(t).slice();
    if (t.dtype !== 'float32') return held(t.dtype, t.shape, bytes.fill(pick([0, 1, 127, 128, 255])));
    const words = new Uint32Array(bytes.buffer, 0, bytes.length / 4);
    const some = pick([1, 2, 5]);
    for (let i = 0; i < words.length; i++) if (random(some) === 0) words[i] = pick(wild);
    return held(t.dtype, t.shape, bytes);
  },
};
const int = () => pick([-1, 0, 1, 2, 3, 4, 8, 32, 33, 64, 128, 2 ** 31, 2 ** 32, 2 ** 52, 2 ** 53 - 1, -(2 ** 40)]);
const float = () => pick([0, 1, 1e-5, -1, 127, 128, 7, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 1e38, -1e38]);
function attribute(a: Attr): Attr {
  switch (random(4)) {
    case 0:
      return { type: 'int', value: int() };
    case 1:
      return { type: 'float', value: float() };
    case 2:
      return { type: 'ints', value: Array.from({ length: a.type === 'ints' && random(3) ? a.value.length : random(5) }, int) };
    default:
      // One number of several.
      if (a.type !== 'ints') return a.type === 'int' ? { type: 'int', value: int() } : { type: 'float', value: float() };
      return { type: 'ints', value: a.value.map((v) => (random(2) ? int() : v)) };
  }
}

const { InferenceSession, Tensor: Value } = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');
const host = await nodeHost();
const folder = mkdtempSync(join(tmpdir(), 'qc-hostile-'));
const operators = process.argv[4] ? [process.argv[4]] : found.addon.operators('').map((o) => o.name);
const counts = { operators: operators.length, cases: 0, errors: 0, answers: 0 };
let bad: string | undefined;
for (let i = 0; i < cases && bad === undefined; i++) {
  const name = operators[i % operators.length]!;
  counts.cases++;
  const made = caseOf(name, 'small');
  if (!made) throw new Error(`${name} has no case in test/native/cases`);
  const inputs: [string, Tensor][] = Object.entries(made.inputs);
  const { model } = modelOfCase(name, made);
  const node = model.graph.nodes[0]!;
  const broken: string[] = [];
  for (let n = 1 + random(3); n > 0; n--) {
    const kind = pick([...Object.keys(spoil), 'size', 'content', 'attribute', 'attribute', 'missing', 'order', 'fewer']);
    const at = random(node.inputs.length);
    const attr = pick([...node.attrs.keys(), '']);
    broken.push(`${kind} ${kind === 'attribute' ? attr : inputs[at]![0]}`);
    if (kind in spoil) inputs[at] = [inputs[at]![0], spoil[kind]!(inputs[at]![1])];
    else if (kind === 'attribute' && attr) {
      if (random(6) === 0) node.attrs.delete(attr);
      else node.attrs.set(attr, attribute(node.attrs.get(attr)!));
    } else if (kind === 'missing') node.inputs[at] = '';
    else if (kind === 'fewer') node.inputs.length = Math.min(node.inputs.length, at + 1);
    else if (kind === 'order') [node.inputs[0], node.inputs[at]] = [node.inputs[at]!, node.inputs[0]!];
  }
  const [first, ...rest] = inputs;
  model.functions.length = 0;
  model.graph.inputs = [{ name: first![0], dtype: first![1].dtype, shape: first![1].shape }];
  model.graph.initializers = new Map(rest);
  if (process.env['HOSTILE_LOG'])
    console.error(
      JSON.stringify({ i, name, broken, inputs: inputs.map(([n, t]) => `${n} ${t.dtype}[${t.shape}]`), attrs: [...node.attrs] }),
    );
  const file = join(folder, `${counts.cases}.onnx`);
  await writeModel(host, model, file, { dir: folder, external: false });
  try {
    const session = await InferenceSession.create(file, { intraOpNumThreads: 1, logSeverityLevel: 4 });
    try {
      const t = first![1];
      await session.run({ [first![0]]: new Value(t.dtype as 'float32', dataOf(t), t.shape) });
    } finally {
      await session.release();
    }
    counts.answers++;
  } catch (e) {
    counts.errors++;
    // ONNX Runtime's own checks (arity, types) name the operator too.
    if (!(e as Error).message.includes(name)) bad = `${name}: ${broken.join(', ')}: ${(e as Error).message}`;
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
