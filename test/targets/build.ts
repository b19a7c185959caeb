/** Small models by hand, quantized at their sites without a recipe. */

import type { Lowered } from '../../compiler/define.ts';
import { formats } from '../../compiler/formats/index.ts';
import { elements } from '../../compiler/graph/dtype.ts';
import { infer } from '../../compiler/graph/infer.ts';
import type { Dim, DType, Graph, Model, Node, Tensor } from '../../compiler/graph/types.ts';
import type { Host, Value } from '../../compiler/host.ts';
import { numbers } from '../../compiler/lower/make.ts';
import { compareOutputs } from '../../compiler/lower/prove.ts';
import { findSites } from '../../compiler/match/find.ts';
import type { Grain, QType } from '../../compiler/plan/types.ts';
import { quantParams } from '../../compiler/simulate/params.ts';
import { simulate } from '../../compiler/simulate/simulate.ts';
import type { EncodedWeight, QuantizedValue, Simulated } from '../../compiler/simulated.ts';
import { targets } from '../../compiler/targets/index.ts';

/** Numbers that look like weights: deterministic, roughly normal, with a few large ones. */
export function noise(n: number, seed = 1, scale = 1): Float32Array {
  let state = seed * 2654435761;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return Float32Array.from({ length: n }, () => scale * (uniform() + uniform() + uniform() - 1.5) * (uniform() < 0.02 ? 4 : 1));
}

export const floats = (shape: readonly number[], seed = 1, scale = 1, dtype: DType = 'float32'): Tensor =>
  numbers(dtype, shape, noise(elements(shape), seed, scale));

export interface Parts {
  readonly nodes: readonly Node[];
  readonly input: readonly Dim[];
  readonly inputType?: DType;
  readonly initializers: Readonly<Record<string, Tensor>>;
  readonly opset?: number;
}

/** A model around a graph. */
export const modelAround = (graph: Omit<Graph, 'name' | 'values'>, opsets: Readonly<Record<string, number>>): Model => ({
  irVersion: 8,
  opsets: new Map(Object.entries(opsets)),
  producer: 'test',
  producerVersion: '',
  domain: '',
  modelVersion: 0,
  doc: '',
  metadata: new Map(),
  functions: [],
  graph: { name: 'g', values: new Map(), ...graph },
});

/** A model from "x" to "y", its values inferred. */
export function modelOf(p: Parts): Model {
  const graph = {
    nodes: p.nodes.map((n) => ({ ...n, inputs: [...n.inputs], outputs: [...n.outputs] })),
    inputs: [{ name: 'x', dtype: p.inputType ?? 'float32', shape: p.input }],
    outputs: [{ name: 'y', ...(p.inputType && p.inputType !== 'int64' ? { dtype: p.inputType } : { dtype: 'float32' as const }) }],
    initializers: new Map(Object.entries(p.initializers)),
  };
  return infer(modelAround(graph, { '': p.opset ?? 17 }));
}

export interface Kind {
  readonly format: string;
  readonly args?: Readonly<Record<string, unknown>>;
  readonly grain: Grain;
  readonly mode?: 'static' | 'dynamic';
  readonly symmetric?: boolean;
  readonly law?: string;
}

export function qtype(k: Kind): QType {
  const def = formats.find((f) => f.name === k.format || f.spellings?.[k.format])!;
  const args = { signed: true, kind: 'e4m3', ...def.spellings?.[k.format], ...k.args };
  const r = def.resolve(args as never);
  const symmetric = k.symmetric ?? r.symmetric;
  return {
    format: { name: def.name, args },
    bits: r.bits,
    symmetric,
    grain: k.grain,
    mode: k.mode ?? 'static',
    law: { name: k.law ?? 'minmax', args: {} },
    scaleType: r.scaleType,
    ...(r.codes ? { codes: r.codes } : {}),
    ...(r.outer ? { outer: r.outer } : {}),
    text: `${JSON.stringify(k)}`,
  };
}

/** Quantizes the weight (and the input) of every linear, conv and embedding site. `ranges` are those of static inputs, by value. */
export function quantized(
  model: Model,
  weight: Kind | undefined,
  input?: Kind,
  ranges: Readonly<Record<string, readonly [number, number]>> = {},
): Simulated {
  const sites = findSites(model);
  const weights: EncodedWeight[] = [];
  const values: QuantizedValue[] = [];
  for (const site of sites.sites) {
    const port = site.ports['weight'];
    const source = port && model.graph.initializers.get(port.value);
    if (port && source && weight) {
      const out = source.shape[port.axes['out']!]!;
      weights.push({
        site,
        port: 'weight',
        type: qtype(weight),
        source,
        out,
        reduce: elements(source.shape) / out,
        order: port.axes['out'] === 0 ? 'or' : 'ro',
      });
    }
    const value = site.ports['input']?.value;
    if (input && value !== undefined && (site.role === 'linear' || site.role === 'conv')) {
      const type = qtype(input);
      const [lo, hi] = ranges[value] ?? [-4, 4];
      const { scale, zero } = type.codes ? quantParams(lo, hi, type) : { scale: 1, zero: 0 };
      const found = type.mode === 'static' && type.codes ? { scale: Float32Array.of(scale), zero: Float32Array.of(zero) } : {};
      values.push({ site, port: 'input', type, value, ...found });
    }
  }
  return { model, weights, values, sites };
}

export const feed = (shape: readonly number[], seed = 7, dtype: DType = 'float32'): Record<string, Value> => {
  const t = floats(shape, seed, 1.5, dtype);
  return { x: { dtype, shape, bytes: t.source.kind === 'bytes' ? t.source.bytes : new Uint8Array() } };
};

/** `ort packed`: the target with its weights kept small. */
export const lowerTo = (name: string, s: Simulated): Promise<Lowered> => {
  const [target, weights = 'fast'] = name.split(' ');
  return targets.find((t) => t.name === target)!.lower(s, { weights } as never);
};

/** Largest relative difference between the simulated model and what a target makes of it, and the operators that it emits. */
export async function difference(
  host: Host,
  target: string,
  s: Simulated,
  feeds: readonly Record<string, Value>[],
): Promise<{ relative: number; ops: string[] }> {
  const lowered = await lowerTo(target, s);
  const found = await compareOutputs(host, simulate(s), lowered.model, '.', feeds);
  if (found.length === 0) throw new Error('nothing was compared');
  return { relative: Math.max(...found.map((d) => d.relative)), ops: [...new Set(lowered.emitted.flatMap((e) => e.ops))] };
}
