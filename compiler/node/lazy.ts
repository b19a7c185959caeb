import type { Crunch } from '../crunch.ts';

/** A crunch that loads its native or wasm code at the first call, so that commands without heavy loops start quickly. */
export function lazyCrunch(): Crunch {
  let loaded: Promise<Crunch> | undefined;
  let ready: Crunch | undefined;
  const load = () => {
    loaded ??= import('../../runtime/crunch.ts').then(async (m) => {
      ready = await m.loadCrunch();
      return ready;
    });
    return loaded;
  };
  return {
    get kind() {
      return ready?.kind ?? 'native';
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
    moments: async (acc, x, n) => (await load()).moments(acc, x, n),
    histogram: async (counts, x, lo, hi) => (await load()).histogram(counts, x, lo, hi),
    clip: async (counts, lo, hi, format, symmetric, law) => (await load()).clip(counts, lo, hi, format, symmetric, law),
    close: async () => ready?.close(),
  };
}
