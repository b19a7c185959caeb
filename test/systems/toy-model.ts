/** The toy layer of systems.md as an ONNX model with data, so that its checks run through the real compiler. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeNpz } from '../../compiler/calibrate/npz.ts';
import { valueFrom } from '../../compiler/calibrate/values.ts';
import { openModel } from '../../compiler/driver/model.ts';
import type { CompileOptions, CompileResult } from '../../compiler/driver/types.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import type { Value } from '../../compiler/host.ts';
import { type Workplace, workplace } from '../compile/help.ts';
import { Builder } from '../roles/build.ts';
import { layer, N, normal } from '../transforms/toy.ts';

export interface ToyModel {
  readonly model: string;
  /** Folders of calibration data and of held-out data. */
  readonly data: { readonly calib: string; readonly held: string };
}

/** Sets the content of a weight that a builder knows. */
export function weight(b: Builder, name: string, shape: readonly number[], values: ArrayLike<number>): string {
  b.weight(name, shape);
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  b.graph.initializers.set(name, { ...b.graph.initializers.get(name)!, source: { kind: 'bytes', bytes } });
  return name;
}
export const gauss = (n: number, scale: number, seed: number): Float32Array => {
  const g = normal(seed);
  return Float32Array.from({ length: n }, () => scale * g());
};
/** W stored as [reduce, out] from rows of outputs. */
export const transposed = (w: Float32Array, reduce: number): Float32Array =>
  w.map((_, i) => w[(i % (w.length / reduce)) * reduce + Math.floor(i / (w.length / reduce))]!);

/** x / √(mean x² + ε) · gain */
export function rms(b: Builder, x: string, name: string, gain: ArrayLike<number>): string {
  const root = b.op('Sqrt', [b.op('Add', [b.op('ReduceMean', [b.op('Pow', [x, b.number(2)])], { axes: [-1] }), b.number(1e-6)])]);
  return b.op('Mul', [b.op('Div', [x, root]), weight(b, `${name}.weight`, [gain.length], gain)]);
}

/** Writes a model of the workplace with one file for each set of inputs. */
export async function written(
  w: Workplace,
  name: string,
  build: (b: Builder) => readonly string[],
  feeds: { readonly calib: Readonly<Record<string, Value>>; readonly held: Readonly<Record<string, Value>> },
): Promise<ToyModel> {
  const b = new Builder();
  for (const o of build(b)) b.output(o);
  const dir = join(w.folder, name);
  for (const part of ['calib', 'held'] as const) {
    mkdirSync(join(dir, part), { recursive: true });
    writeFileSync(join(dir, part, '0.npz'), encodeNpz(new Map(Object.entries(feeds[part]))));
  }
  await writeModel(w.host, b.model(17), join(dir, 'model.onnx'), { dir: '.' });
  return { model: join(dir, 'model.onnx'), data: { calib: join(dir, 'calib'), held: join(dir, 'held') } };
}

const rows = (x: Float32Array, width: number): Value => valueFrom('float32', [x.length / width, width], x);

/** Toy layer F1: `norm` with the uneven gains, then `fc`, 128 → 128. */
export function toyLayer(w: Workplace, seed = 1): Promise<ToyModel> {
  const l = layer(seed);
  const even = (x: Float32Array) => ({
    x: rows(
      x.map((v, i) => v / l.gain[i % N]!),
      N,
    ),
  });
  return written(
    w,
    `toy${seed}`,
    (b) => {
      const h = rms(b, b.input('x', ['rows', N]), 'norm', l.gain);
      b.op('MatMul', [h, weight(b, 'fc.weight', [N, N], transposed(l.w, N))]);
      b.graph.nodes.at(-1)!.outputs[0] = 'y';
      return ['y'];
    },
    { calib: even(l.x), held: even(l.held) },
  );
}

/** Compiles a recipe's statements and measures `y` against the float model, in dB, on data that was not calibrated on unless `on` says so. */
export async function measured(
  w: Workplace,
  toy: ToyModel,
  text: string,
  o: Partial<CompileOptions> & { readonly on?: 'calib' | 'held' } = {},
): Promise<{ readonly dB: number; readonly result: CompileResult; readonly output: string }> {
  const { on = 'held', ...rest } = o;
  const whole = text.includes('recipe ')
    ? text
    : `recipe r version "1.0.0" {\ncalibrate data("calib")\n${text}\nevaluate sqnr(output("y"))\n}\n`;
  const { result, output } = await w.compiled('', whole, {
    model: toy.model,
    data: { calib: toy.data.calib, eval: toy.data[on] },
    ...rest,
  });
  return { dB: result.metrics[0]?.value ?? Number.NaN, result, output };
}

/** The operators on the way from a site's input back to the value that `stop` says, in that order. */
export async function before(w: Workplace, output: string, product: (op: string) => boolean): Promise<string[]> {
  const { model, close } = await openModel(w.host, output);
  await close();
  const producers = new Map(model.graph.nodes.flatMap((n) => n.outputs.map((o) => [o, n] as const)));
  const ops: string[] = [];
  let n = model.graph.nodes.find((x) => product(x.op));
  while (n) {
    ops.push(n.op);
    n = producers.get(n.inputs[0]!);
  }
  return ops;
}

export { workplace };
