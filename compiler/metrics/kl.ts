import type { Metric } from '../define.ts';

/** log Σ exp of a row, with its maximum taken out. */
function logSum(x: Float32Array, from: number, to: number): number {
  let top = Number.NEGATIVE_INFINITY;
  for (let i = from; i < to; i++) if (x[i]! > top) top = x[i]!;
  let sum = 0;
  for (let i = from; i < to; i++) sum += Math.exp(x[i]! - top);
  return top + Math.log(sum);
}

const metric: Metric = {
  name: 'kl',
  since: '0.1.0',
  doc: 'Mean Kullback-Leibler divergence of the rows (last axis), read as logits.',
  formula: 'mean over rows of Σ p (ln p − ln p̂), p = softmax(x)',
  better: 'smaller',
  unit: 'nats',
  params: {},
  start: () => new Float64Array(2),
  fold(acc, reference, actual, lastDim) {
    for (let at = 0; at + lastDim <= reference.length; at += lastDim) {
      const a = logSum(reference, at, at + lastDim);
      const b = logSum(actual, at, at + lastDim);
      for (let i = at; i < at + lastDim; i++) {
        const p = reference[i]! - a;
        acc[0]! += Math.exp(p) * (p - (actual[i]! - b));
      }
      acc[1]!++;
    }
  },
  finish: (acc) => acc[0]! / acc[1]!,
};
export default metric;
