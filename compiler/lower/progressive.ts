/** Weights of a progressive format: the integers of its first level, from codes, zero points and integer steps. */
import { encodeWeight } from '../simulate/encode.ts';
import type { Emit } from './emit.ts';
import type { Work } from './lowering.ts';

export const isProgressive = (w: Work): boolean => w.weight.type.outer !== undefined;

/** (q − z)·s₂ as whole floats in `shape` (the order of the source), and the step of each output channel. Constants only: ONNX Runtime computes them at load. */
export function firstLevel(e: Emit, w: Work, shape: readonly number[]): { integers: string; steps: string } {
  const { type, order, out, reduce } = w.weight;
  const enc = encodeWeight(w.weight, w.name, 'source');
  if (!enc.outer || type.grain.per !== 'group') throw new Error(`${w.site.id}: ${type.text} is not progressive in groups`);
  const groups = reduce / type.grain.group;
  const rows = order === 'or';
  const split = e.list(rows ? [out, groups, type.grain.group] : [groups, type.grain.group, out]);
  const beside = e.list(rows ? [out, groups, 1] : [groups, 1, out]);
  const float = (part: string, tensor: Parameters<Emit['constant']>[1]) => e.cast(e.constant(part, tensor), 'float32');
  const codes = e.op('Reshape', [float('codes', enc.codes), split]);
  const centred = enc.zeros ? e.op('Sub', [codes, e.op('Reshape', [float('zero', enc.zeros), beside])]) : codes;
  const product = e.op('Mul', [centred, e.op('Reshape', [float('scale', enc.scales), beside])]);
  return { integers: e.op('Reshape', [product, e.list(shape)]), steps: e.constant('outer', enc.outer) };
}

/** The weight in float, in `shape`. */
export function progressiveFloat(e: Emit, w: Work, shape: readonly number[]): string {
  const { integers, steps } = firstLevel(e, w, shape);
  const wide = w.weight.source.dtype === 'float32' ? steps : e.cast(steps, 'float32');
  const column = w.weight.order === 'or' ? e.op('Reshape', [wide, e.list([w.weight.out, 1])]) : wide;
  const y = e.op('Mul', [integers, column]);
  return w.weight.source.dtype === 'float32' ? y : e.cast(y, w.weight.source.dtype);
}

/** The weight as bytes around 128 under one step for each output channel: what integer products take. */
export function progressiveBytes(e: Emit, w: Work): { codes: string; scale: string; zero: string } {
  const { integers, steps } = firstLevel(e, w, w.weight.source.shape);
  return { codes: e.cast(e.op('Add', [integers, e.scalar(128)]), 'uint8'), scale: steps, zero: e.scalar(128, 'uint8') };
}
