/** Histograms of float weights, for the report. */
import type { Crunch } from '../crunch.ts';
import type { Reader } from '../graph/bytes.ts';
import type { HistogramData } from '../report/data.ts';
import type { EncodedWeight } from '../simulated.ts';

const BINS = 64;
/** Weights that are larger are left out: a histogram needs the floats in memory. */
const MOST = 64 << 20;

/** By site id. */
export async function weightHistograms(
  weights: readonly EncodedWeight[],
  reader: Reader,
  crunch: Crunch,
): Promise<Map<string, HistogramData>> {
  const out = new Map<string, HistogramData>();
  for (const w of weights) {
    if (w.out * w.reduce > MOST) continue;
    const bytes = await reader.bytes(w.source);
    const wide = w.source.dtype === 'float32' ? bytes : await crunch.cast(bytes, w.source.dtype, 'float32');
    const aligned = wide.byteOffset % 4 === 0 ? wide : wide.slice();
    const x = new Float32Array(aligned.buffer, aligned.byteOffset, w.out * w.reduce);
    let most = 0;
    for (let i = 0; i < x.length; i++) most = Math.max(most, Math.abs(x[i]!));
    if (!(most > 0)) continue;
    const counts = new Float64Array(BINS);
    await crunch.histogram(counts, x, -most, most);
    out.set(w.site.id, { lo: -most, hi: most, counts: [...counts] });
  }
  return out;
}
