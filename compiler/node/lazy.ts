import type { Crunch } from '../crunch.ts';

/** A crunch that loads its code at the first call, so that what has no heavy loops starts quickly; `kind` is what it will be. */
export function lazyCrunch(
  open: () => Promise<Crunch> = async () => (await import('../../runtime/crunch.ts')).loadCrunch(),
  kind: Crunch['kind'] = 'native',
): Crunch {
  let loaded: Promise<Crunch> | undefined;
  let ready: Crunch | undefined;
  const load = () => {
    loaded ??= open().then((crunch) => {
      ready = crunch;
      return crunch;
    });
    return loaded;
  };
  return {
    get kind() {
      return ready?.kind ?? kind;
    },
    get isa() {
      return ready?.isa ?? '';
    },
    quantize: async (r) => (await load()).quantize(r),
    dequantize: async (r) => (await load()).dequantize(r),
    hash: async (data) => (await load()).hash(data),
    cast: async (data, from, to) => (await load()).cast(data, from, to),
    gram: async (h, x, n) => (await load()).gram(h, x, n),
    cross: async (c, x, y, n) => (await load()).cross(c, x, y, n),
    solve: async (r) => (await load()).solve(r),
    adaround: async (r) => (await load()).adaround(r),
    leastSquares: async (r) => (await load()).leastSquares(r),
    eigen: async (a, n) => (await load()).eigen(a, n),
    orthonormal: async (rows, n) => (await load()).orthonormal(rows, n),
    rangeNorms: async (y, n, p, weight) => (await load()).rangeNorms(y, n, p, weight),
    lowRank: async (r) => (await load()).lowRank(r),
    distance: async (a, b, x, y, n) => (await load()).distance(a, b, x, y, n),
    minusProduct: async (x, left, right, columns) => (await load()).minusProduct(x, left, right, columns),
    hadamard: async (x, lines, base) => (await load()).hadamard(x, lines, base),
    moments: async (acc, x, n) => (await load()).moments(acc, x, n),
    histogram: async (counts, x, lo, hi) => (await load()).histogram(counts, x, lo, hi),
    clip: async (counts, lo, hi, format, symmetric, law) => (await load()).clip(counts, lo, hi, format, symmetric, law),
    close: async () => ready?.close(),
  };
}
