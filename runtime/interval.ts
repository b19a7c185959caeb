/** A median, and the interval that holds the true one in 95 of 100 cases whatever the distribution is (order statistics). */
export interface Interval {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** How many of the smallest lie below the interval: the largest l with P(Binomial(n, ½) ≤ l − 1) ≤ .025; 0 where n is too small for a bound. */
export function below(n: number): number {
  let [l, p, sum] = [0, 0.5 ** n, 0];
  for (; l < n / 2; l++) {
    sum += p;
    if (sum > 0.025) break;
    p *= (n - l) / (l + 1);
  }
  return l;
}

/** Of at least one value. Fewer than six give the range of what was seen, which says less. */
export function interval(values: readonly number[]): Interval {
  const x = [...values].sort((a, b) => a - b);
  const n = x.length;
  const at = n >> 1;
  const median = n % 2 ? x[at]! : (x[at - 1]! + x[at]!) / 2;
  const out = Math.max(0, below(n) - 1);
  return { median, low: x[out]!, high: x[n - 1 - out]! };
}
