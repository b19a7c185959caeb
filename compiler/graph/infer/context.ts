/** What inference knows of a value, and what a rule sees of a node. */
import type { Attr, Dim, DType, Node } from '../types.ts';

/** `data`: the elements, known or symbolic, of a small vector or scalar (shape arithmetic). Booleans are 0 and 1. */
export interface Fact {
  readonly dtype?: DType | undefined;
  /** undefined: rank unknown. */
  readonly shape?: readonly Dim[] | undefined;
  readonly data?: readonly Dim[] | undefined;
}

/** Vectors longer than this are not tracked. */
export const MAX_DATA = 512;

/** A node with the facts of its inputs; rules set the facts of its outputs. */
export class Context {
  readonly outputs: Fact[] = [];
  constructor(
    readonly node: Node,
    /** Version of the node's domain. */
    readonly opset: number,
    readonly inputs: readonly (Fact | undefined)[],
  ) {}

  /** The fact of input `i`; an empty one where it is absent. */
  in(i: number): Fact {
    return this.inputs[i] ?? {};
  }
  shape(i: number): readonly Dim[] | undefined {
    return this.inputs[i]?.shape;
  }
  dtype(i: number): DType | undefined {
    return this.inputs[i]?.dtype;
  }
  /** Elements of input `i` that are all known numbers. */
  numbers(i: number): readonly number[] | undefined {
    const data = this.inputs[i]?.data;
    return data?.every((d) => typeof d === 'number') ? (data as readonly number[]) : undefined;
  }
  has(i: number): boolean {
    return (this.node.inputs[i] ?? '') !== '';
  }
  set(i: number, dtype: DType | undefined, shape?: readonly Dim[] | undefined, data?: readonly Dim[] | undefined): void {
    const fits = data !== undefined && data.length <= MAX_DATA && shape !== undefined && shape.length <= 1;
    this.outputs[i] = { dtype, shape, ...(fits ? { data } : {}) };
  }
  /** A symbol for axis `axis` of output `i`, the same on every run. */
  fresh(axis: number, i = 0): Dim {
    return `?${this.node.outputs[i] ?? this.node.name}.${axis}`;
  }
  private attr<T extends Attr['type']>(name: string, type: T): Extract<Attr, { type: T }> | undefined {
    const a = this.node.attrs.get(name);
    return a?.type === type ? (a as Extract<Attr, { type: T }>) : undefined;
  }
  int(name: string): number | undefined;
  int(name: string, fallback: number): number;
  int(name: string, fallback?: number): number | undefined {
    const a = this.attr(name, 'int');
    return a === undefined ? fallback : Number(a.value);
  }
  ints(name: string): readonly number[] | undefined {
    return this.attr(name, 'ints')?.value.map(Number);
  }
  string(name: string): string | undefined {
    return this.attr(name, 'string')?.value;
  }
}

export type Rule = (c: Context) => void;

/** Axes counted from the front. */
export const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** Multidirectional broadcasting. `fresh` names the axes whose size depends on which of two unknown ones is 1. */
export function broadcast(shapes: readonly (readonly Dim[] | undefined)[], fresh: (axis: number) => Dim): readonly Dim[] | undefined {
  if (shapes.some((s) => s === undefined)) return undefined;
  const known = shapes as readonly (readonly Dim[])[];
  const rank = Math.max(0, ...known.map((s) => s.length));
  return Array.from({ length: rank }, (_, axis) => {
    const dims = known.map((s) => s[axis - rank + s.length] ?? 1).filter((d) => d !== 1);
    const size = dims.find((d) => typeof d === 'number');
    if (size !== undefined) return size;
    return dims.length === 0 ? 1 : dims.every((d) => d === dims[0]) ? dims[0]! : fresh(axis);
  });
}

/** Axes come as attribute before opset 13, as input since. */
export const axesOf = (c: Context): readonly number[] | undefined => c.ints('axes') ?? c.numbers(1);

/** Sets output 0 with the type of input 0. */
export const set0 = (c: Context, shape: readonly Dim[] | undefined, data?: readonly Dim[] | undefined): void =>
  c.set(0, c.dtype(0), shape, data);
