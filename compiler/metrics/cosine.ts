import type { Metric } from '../define.ts';

const metric: Metric = {
  name: 'cosine',
  since: '0.1.0',
  doc: 'Mean cosine similarity of the rows (last axis).',
  formula: 'mean over rows of ⟨x, x̂⟩ / (‖x‖ ‖x̂‖); two zero rows count as 1',
  better: 'larger',
  params: {},
  start: () => new Float64Array(2),
  fold(acc, reference, actual, lastDim) {
    for (let at = 0; at + lastDim <= reference.length; at += lastDim) {
      let dot = 0;
      let xx = 0;
      let yy = 0;
      for (let i = at; i < at + lastDim; i++) {
        const x = reference[i]!;
        const y = actual[i]!;
        dot += x * y;
        xx += x * x;
        yy += y * y;
      }
      acc[0]! += xx === 0 && yy === 0 ? 1 : dot / Math.max(Math.sqrt(xx * yy), 1e-300);
      acc[1]!++;
    }
  },
  finish: (acc) => acc[0]! / acc[1]!,
};
export default metric;
