/** Watches the quantizer: how far each weight is from its codes, without computing anything twice. */
import type { Crunch } from '../crunch.ts';

export interface WeightError {
  /** Σ(w−ŵ)² and Σw². */
  readonly error: number;
  readonly energy: number;
}

/** A crunch that notes the error of every labelled weight. */
export function metered(crunch: Crunch): { readonly crunch: Crunch; readonly errors: ReadonlyMap<string, WeightError> } {
  const errors = new Map<string, WeightError>();
  return {
    errors,
    crunch: {
      get kind() {
        return crunch.kind;
      },
      get isa() {
        return crunch.isa;
      },
      async quantize(r) {
        const done = await crunch.quantize(r);
        if (r.label !== undefined) errors.set(r.label, { error: done.error, energy: done.energy });
        return done;
      },
      async solve(r) {
        const done = await crunch.solve(r);
        if (r.label !== undefined) errors.set(r.label, { error: done.error, energy: done.energy });
        return done;
      },
      async adaround(r) {
        const done = await crunch.adaround(r);
        if (r.label !== undefined) errors.set(r.label, { error: done.error, energy: done.energy });
        return done;
      },
      leastSquares: (r) => crunch.leastSquares(r),
      cross: (c, x, y, n) => crunch.cross(c, x, y, n),
      dequantize: (r) => crunch.dequantize(r),
      hash: (data) => crunch.hash(data),
      cast: (data, from, to) => crunch.cast(data, from, to),
      gram: (h, x, n) => crunch.gram(h, x, n),
      eigen: (a, n) => crunch.eigen(a, n),
      orthonormal: (rows, n) => crunch.orthonormal(rows, n),
      rangeNorms: (y, n, p, weight) => crunch.rangeNorms(y, n, p, weight),
      lowRank: (r) => crunch.lowRank(r),
      distance: (a, b, x, y, n) => crunch.distance(a, b, x, y, n),
      minusProduct: (x, left, right, columns) => crunch.minusProduct(x, left, right, columns),
      hadamard: (x, lines, base) => crunch.hadamard(x, lines, base),
      moments: (acc, x, n) => crunch.moments(acc, x, n),
      histogram: (counts, x, lo, hi) => crunch.histogram(counts, x, lo, hi),
      clip: (counts, lo, hi, format, symmetric, law) => crunch.clip(counts, lo, hi, format, symmetric, law),
      close: () => crunch.close(),
    },
  };
}

/** 10·log10(Σw² / Σ(w−ŵ)²). */
export const decibels = ({ error, energy }: WeightError): number => 10 * Math.log10(Math.max(energy, 1e-300) / Math.max(error, 1e-300));
