import type { Metric } from '../define.ts';

/** Index of the largest element of a row; the first of equals. */
function top(x: Float32Array, from: number, to: number): number {
  let best = from;
  for (let i = from + 1; i < to; i++) if (x[i]! > x[best]!) best = i;
  return best;
}

const metric: Metric = {
  name: 'agreement',
  since: '0.1.0',
  doc: 'Share of rows (last axis) whose largest element is the same one.',
  formula: 'mean over rows of [argmax x = argmax x̂]',
  better: 'larger',
  params: {},
  start: () => new Float64Array(2),
  fold(acc, reference, actual, lastDim) {
    for (let at = 0; at + lastDim <= reference.length; at += lastDim) {
      if (top(reference, at, at + lastDim) === top(actual, at, at + lastDim)) acc[0]!++;
      acc[1]!++;
    }
  },
  finish: (acc) => acc[0]! / acc[1]!,
};
export default metric;
