import type { Metric, Objective } from '../define.ts';
import { int, selection } from '../schema.ts';

const params = {
  k: int({ doc: 'How many.', min: 1, max: 1_000_000, default: 1000 }),
  of: selection({ doc: 'The output: `output("logits")`. The first float output where it is not given.', optional: true }),
};

/** The k largest of a row, first come of equals. */
export function largest(x: Float32Array, from: number, n: number, k: number): Int32Array {
  const least = x.slice(from, from + n).sort()[n - k]!;
  const at = new Int32Array(k);
  let count = 0;
  for (let i = from; i < from + n; i++) if (x[i]! > least) at[count++] = i;
  for (let i = from; i < from + n && count < k; i++) if (x[i]! === least) at[count++] = i;
  return at;
}

const logSum = (x: Float32Array, at: Int32Array): number => {
  const top = at.reduce((m, i) => Math.max(m, x[i]!), Number.NEGATIVE_INFINITY);
  return top + Math.log(at.reduce((s, i) => s + Math.exp(x[i]! - top), 0));
};

/** Mean over rows of Σ p (ln p − ln p̂), both softmax over the k largest of the float row. */
const metric = (k: number): Metric => ({
  name: `kl_top(${k})`,
  since: '0.5.0',
  doc: 'KL divergence on the k largest logits of the float model.',
  better: 'smaller',
  unit: 'nats',
  params: {},
  start: () => new Float64Array(2),
  fold(acc, reference, actual, n) {
    for (let from = 0; from + n <= reference.length; from += n) {
      const at = largest(reference, from, n, Math.min(k, n));
      const [a, b] = [logSum(reference, at), logSum(actual, at)];
      for (const i of at) {
        const p = reference[i]! - a;
        acc[0]! += Math.exp(p) * (p - (actual[i]! - b));
      }
      acc[1]!++;
    }
  },
  finish: (acc) => acc[0]! / acc[1]!,
});

const objective: Objective<typeof params> = {
  name: 'kl_top',
  since: '0.5.0',
  doc: 'KL divergence on the k largest logits of the float model: the tail, which nobody samples, has no say. What chooses among restarts of `transform rotate`.',
  cite: 'Hu et al., OSTQuant, 2025 (arXiv:2501.13987)',
  formula: 'Σ p (ln p − ln p̂), p and p̂ softmax over the k largest logits of the float model',
  better: 'smaller',
  params,
  positional: ['k', 'of'],
  metric: (p) => metric(p.k),
};
export default objective;
