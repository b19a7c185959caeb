import type { Assignment, SearchMethod } from '../define.ts';
import { int } from '../schema.ts';
import { type Best, better, settled, start } from './_trials.ts';

const params = { steps: int({ doc: 'Steps into which the budget is divided.', min: 16, max: 1000000, default: 4096 }) };

const method: SearchMethod<typeof params> = {
  name: 'ilp',
  since: '0.1.0',
  doc: 'Bit allocation as a multiple-choice knapsack: objective and cost of each choice are measured alone, their sums optimised exactly by dynamic programming over a budget in `steps`.',
  formula: 'min Σ o_v(x_v) subject to Σ c_v(x_v) ≤ limit',
  cite: 'Dong et al., HAWQ-V3, 2021 (arXiv:2011.10680), eq. 5; Kellerer et al., Knapsack Problems, 2004, ch. 11',
  params,
  positional: ['steps'],
  async run(space, score, p) {
    const first = start(space);
    const base = await score(first);
    const choices: { value: Assignment[string]; gain: number; cost: number }[][] = [];
    for (const v of space) {
      const list = [];
      for (const value of v.domain) {
        const t = await score({ ...first, [v.name]: value });
        list.push({ value, gain: t.objective - base.objective, cost: (t.cost ?? 0) - (base.cost ?? 0) });
      }
      choices.push(list);
    }
    // Costs from the cheapest choice of each variable; rounded up, so that the budget always holds.
    const cheapest = choices.map((list) => Math.min(...list.map((c) => c.cost)));
    const floor = (base.cost ?? 0) + cheapest.reduce((a, b) => a + b, 0);
    const room = base.limit === undefined ? 0 : base.limit - floor;
    const step = room > 0 ? room / p.steps : 0;
    const width = base.limit === undefined ? 1 : p.steps + 1;
    let value = new Float64Array(width);
    const took: Int32Array[] = [];
    choices.forEach((list, i) => {
      const next = new Float64Array(width).fill(Number.POSITIVE_INFINITY);
      const by = new Int32Array(width).fill(-1);
      list.forEach((c, k) => {
        const extra = c.cost - cheapest[i]!;
        const need = base.limit === undefined || extra <= 0 ? 0 : step > 0 ? Math.ceil(extra / step - 1e-9) : width;
        for (let b = need; b < width; b++) {
          const total = value[b - need]! + c.gain;
          if (total < next[b]!) {
            next[b] = total;
            by[b] = k;
          }
        }
      });
      value = next;
      took.push(by);
    });
    const at = { ...first };
    let b = width - 1;
    for (let i = space.length - 1; i >= 0; i--) {
      const k = took[i]![b]!;
      if (k < 0) break;
      const c = choices[i]![k]!;
      at[space[i]!.name] = c.value;
      const extra = c.cost - cheapest[i]!;
      b -= base.limit === undefined || extra <= 0 ? 0 : Math.ceil(extra / step - 1e-9);
    }
    // Rounding up may leave some of the budget: what still fits is taken.
    let best: Best = better({ at, trial: await score(at) }, { at: first, trial: base });
    for (const v of space)
      for (const value of v.domain) {
        const next = { ...best.at, [v.name]: value };
        best = better(best, { at: next, trial: await score(next) });
      }
    return settled(best);
  },
};
export default method;
