import type { SearchMethod } from '../define.ts';
import { int } from '../schema.ts';
import { type Best, better, settled, start } from './_trials.ts';

const params = { rounds: int({ doc: 'Most passes over all variables.', min: 1, max: 1000, default: 3 }) };

const method: SearchMethod<typeof params> = {
  name: 'coordinate',
  since: '0.1.0',
  doc: 'Coordinate descent: the best value of one variable after the other, the rest held, until a pass changes nothing.',
  cite: 'Wright, Coordinate Descent Algorithms, 2015 (arXiv:1502.04759)',
  params,
  positional: ['rounds'],
  async run(space, score, p) {
    const first = start(space);
    let best: Best = { at: first, trial: await score(first) };
    for (let round = 0; round < p.rounds; round++) {
      const before = best;
      for (const v of space)
        for (const x of v.domain) {
          if (x === best.at[v.name]) continue;
          const at = { ...best.at, [v.name]: x };
          best = better(best, { at, trial: await score(at) });
        }
      if (best === before) break;
    }
    return settled(best);
  },
};
export default method;
