import { fail } from '../../grammar/diagnostics.ts';
import type { SearchMethod } from '../define.ts';
import { type Best, better, settled } from './_trials.ts';

const ratio = (Math.sqrt(5) - 1) / 2;

const method: SearchMethod = {
  name: 'golden',
  since: '0.1.0',
  doc: 'Golden section over one ordered domain: few trials where the objective has one valley.',
  formula: 'x₁ = b − φ(b−a), x₂ = a + φ(b−a), φ = (√5−1)/2',
  cite: 'Kiefer, Sequential minimax search for a maximum, 1953',
  params: {},
  async run(space, score) {
    const v = space[0];
    if (!v || space.length > 1)
      return fail('search-size', `A golden section has one variable, not ${space.length}.`, 'Use method: coordinate.');
    const domain = [...v.domain].sort((a, b) => (typeof a === 'number' && typeof b === 'number' ? a - b : 0));
    let best: Best | undefined;
    const at = async (i: number): Promise<number> => {
      const a = { [v.name]: domain[i]! };
      const trial = await score(a);
      best = better(best, { at: a, trial });
      return trial.feasible ? trial.objective : Number.POSITIVE_INFINITY;
    };
    let [lo, hi] = [0, domain.length - 1];
    while (hi - lo > 2) {
      const left = Math.round(hi - ratio * (hi - lo));
      const right = Math.max(left + 1, Math.round(lo + ratio * (hi - lo)));
      if ((await at(left)) <= (await at(right))) hi = right;
      else lo = left;
    }
    for (let i = lo; i <= hi; i++) await at(i);
    return settled(best);
  },
};
export default method;
