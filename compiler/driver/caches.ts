/** `--io quantized`: the lowered model with its caches as codes or narrow floats and its states as codes, proved to be the one that keeps them in float outside. */

import { fail } from '../../grammar/diagnostics.ts';
import { floats } from '../calibrate/values.ts';
import type { Lowered, Target } from '../define.ts';
import type { DType } from '../graph/types.ts';
import type { Value } from '../host.ts';
import { type Cache, cachesOf, withQuantizedCaches } from '../lower/cache.ts';
import { numbers } from '../lower/make.ts';
import { positions } from '../lower/native/ssm/tables.ts';
import { distance, TOLERANCE } from '../lower/prove.ts';
import { type HeldState, statesOf, withQuantizedStates } from '../lower/states.ts';
import type { Planned } from '../plan/plan.ts';
import { codeOf, dynamicStep, roundEven } from '../simulate/rows.ts';
import type { Simulated } from '../simulated.ts';
import { firstBatches, hasData, judgingSource } from './data.ts';
import type { Source } from './model.ts';
import type { Run } from './run.ts';
import type { CompileOptions } from './types.ts';

interface Job {
  readonly plan: Planned;
  readonly source: Source;
  readonly simulated: Simulated;
  readonly lowered: Lowered;
  readonly target: Target;
  readonly args: unknown;
  readonly adapt?: Source['adapt'] | undefined;
  readonly options: CompileOptions;
  readonly run: Run;
}

/** What is emitted. Errors: `io-nothing`, `io-cache`, `not-proved`. */
export async function emittedCaches(job: Job): Promise<Lowered> {
  const { plan, source, simulated, lowered, options, run } = job;
  if (options.io !== 'quantized') return lowered;
  const caches = cachesOf(simulated).map((c) => c.cache);
  const states = statesOf(simulated);
  if (caches.length + states.length === 0)
    fail(
      'io-nothing',
      'no key or value cache and no state is quantized by this recipe',
      'add `quantize key, value of attention as uint4 { mode: dynamic, per: head }`, or `quantize state of ssm as int8 { mode: static, per: element }`',
    );
  const inner = await job.target.lower(withQuantizedCaches(simulated), job.args as never);
  const outside = { ...inner, model: withQuantizedStates(inner.model, states) };
  run.note('caches', `${caches.length + states.length} cache and state inputs and outputs are codes`);
  if (!hasData(plan, options)) return outside;
  const hidden = new Set([...caches, ...states].map((c) => c.present));
  const [inside, codes] = [await options.host.session(lowered.model, source.dir), await options.host.session(outside.model, source.dir)];
  try {
    for await (const { feeds } of firstBatches(await judgingSource(plan, source.dir, options, undefined), 1).read(source.model.graph)) {
      const given = job.adapt?.(feeds) ?? feeds;
      const coded = {
        ...given,
        ...Object.assign(
          {},
          ...caches.map((c) => quantizedCache(given[c.past]!, c)),
          ...states.map((c) => quantizedState(given[c.past]!, c)),
        ),
      };
      const only = (f: Readonly<Record<string, Value>>, names: readonly string[]) => Object.fromEntries(names.map((n) => [n, f[n]!]));
      const outputs = inside.outputs.filter((o) => !hidden.has(o));
      const [a, b] = [await inside.run(only(given, inside.inputs), outputs), await codes.run(only(coded, codes.inputs), outputs)];
      for (const o of outputs) {
        const off = distance(a[o]!, b[o]!);
        if (!(off <= TOLERANCE.rounded))
          fail(
            'not-proved',
            `with its caches as codes, output "${o}" differs by ${off.toExponential(2)}`,
            'this is a fault of qc: please report it with the recipe',
          );
      }
    }
  } finally {
    await inside.close();
    await codes.close();
  }
  return outside;
}

const narrow = (to: DType, v: Value): Uint8Array => {
  const { source } = numbers(to, v.shape, floats(v));
  return source.kind === 'bytes' ? source.bytes : new Uint8Array();
};

/** A float cache as the inputs that stand for it: the arithmetic of the operators, in float32. */
export function quantizedCache(v: Value, c: Cache): Record<string, Value> {
  const { type } = c;
  if (c.cast) return { [c.past]: { dtype: c.cast, shape: v.shape, bytes: narrow(c.cast, v) } };
  if (type.codes?.kind !== 'int') throw new Error(`${c.past}: no integer codes`);
  const x = floats(v);
  const d = v.shape.at(-1) ?? 1;
  const rows = d === 0 ? 0 : x.length / d;
  const codes = new Uint8Array(rows * (c.packed ? d / 2 : d));
  const scales = new Float32Array(rows);
  const zeros = new Uint8Array(rows);
  for (let r = 0; r < rows; r++) {
    const row = Float32Array.from(x.subarray(r * d, (r + 1) * d));
    const by = dynamicStep(row, type);
    scales[r] = by.scale;
    zeros[r] = by.zero + c.shift;
    row.forEach((w, i) => {
      const q = codeOf(w, type, by) + c.shift;
      if (c.packed) codes[(r * d + i) >> 1]! |= i % 2 ? q << 4 : q;
      else codes[r * d + i] = q;
    });
  }
  const shape = (end: number) => [...v.shape.slice(0, -1), end];
  const bytes = (a: ArrayBufferView) => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
  return {
    [c.past]: { dtype: 'uint8', shape: shape(c.packed ? d / 2 : d), bytes: codes },
    [`${c.past}_scale`]: { dtype: 'float32', shape: shape(1), bytes: bytes(scales) },
    ...(type.symmetric ? {} : { [`${c.past}_zero`]: { dtype: 'uint8' as const, shape: shape(1), bytes: zeros } }),
  };
}

/** A float state as the int8 input that stands for it: the arithmetic of the operators, in float32. */
export function quantizedState(v: Value, s: HeldState): Record<string, Value> {
  const each = positions(s.scale, s.shape, v.shape);
  const low = positions(s.low, s.shape, v.shape);
  const code = (x: number, i: number) => Math.min(low[i]! + 255, Math.max(low[i]!, roundEven(Math.fround(Math.fround(x) / each[i]!))));
  const codes = Int8Array.from(floats(v), code); // modulo 256
  return { [s.past]: { dtype: 'int8', shape: v.shape, bytes: new Uint8Array(codes.buffer) } };
}
