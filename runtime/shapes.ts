/** Shapes of outputs that the shapes of inputs give: names of sizes that both have, and sums of them. */
export interface Described {
  /** ONNX's number of the element type; 0: not a tensor of a type that passes. */
  readonly element: number;
  /** −1 where a size is not fixed. */
  readonly dims: readonly number[];
  /** The names of sizes that are not fixed. */
  readonly symbols: readonly string[];
}

/** Sizes by name, from tensors that are fed. */
export function sizesOf(kinds: readonly (readonly [Described, dims: readonly number[]])[]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const [kind, dims] of kinds)
    for (const [axis, name] of kind.symbols.entries()) {
      const size = dims[axis];
      if (!name || size === undefined) continue;
      // One name with two sizes says nothing.
      sizes.set(name, sizes.has(name) && sizes.get(name) !== size ? Number.NaN : size);
    }
  return sizes;
}

/** The shape of an output; undefined where a size is known only after the run. */
export function shapeOf(kind: Described, sizes: ReadonlyMap<string, number>): number[] | undefined {
  // ONNX Runtime tells no rank as rank 0.
  if (kind.element === 0 || kind.dims.length === 0) return undefined;
  const dims = kind.dims.map((d, axis) => (d >= 0 ? d : sum(kind.symbols[axis] ?? '', sizes)));
  return dims.every((d) => Number.isInteger(d) && d >= 0) ? dims : undefined;
}

/** `past + sequence`, `tokens`, `n + 1`. */
const sum = (text: string, sizes: ReadonlyMap<string, number>): number =>
  sizes.get(text) ??
  text
    .split('+')
    .map((part) => part.trim())
    .reduce((total, part) => total + (/^\d+$/.test(part) ? Number(part) : (sizes.get(part) ?? Number.NaN)), 0);
