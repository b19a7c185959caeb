/** Observed rows of a layer's input beside its float weight: what objectives on transforms look at. */
import type { Span } from '../../grammar/diagnostics.ts';
import type { Statistics } from '../calibrate/index.ts';
import type { LayerRows } from '../define.ts';
import type { EvalContext } from '../host.ts';
import { failAt } from '../plan/bind.ts';
import { sourceRows } from '../simulate/dequantized.ts';
import type { EncodedWeight } from '../simulated.ts';
import { rowsOf } from './errors.ts';

/** Errors: `calibration-missing` where no rows were observed, `metric-where` for what is no matrix product. */
export async function layerRows(
  w: EncodedWeight,
  statistics: Statistics | undefined,
  bench: { readonly reader: EvalContext },
  span: Span,
): Promise<LayerRows> {
  const need = rowsOf(w.site);
  if (!need) return failAt('metric-where', `${w.site.path} is no linear layer: it has no rows.`, span, 'Select linear layers.');
  if (!statistics?.has(need.value, need.observer))
    return failAt(
      'calibration-missing',
      'This objective looks at rows of calibration data, and the recipe names none.',
      span,
      'Add `calibrate data("calib")` to the recipe and give --data calib=DIR.',
    );
  const x = Float32Array.from(statistics.get(need.value, need.observer)['rows']!);
  const n = w.reduce;
  return {
    x,
    n,
    w: await sourceRows(w, bench.reader),
    async spectrum() {
      const c = new Float64Array(n * n);
      await bench.reader.crunch.gram(c, x, n);
      const rows = x.length / n;
      return (await bench.reader.crunch.eigen(c, n)).values.map((v) => v / rows);
    },
  };
}
