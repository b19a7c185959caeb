import type { SearchMethod } from '../define.ts';
import { type Best, better, settled, start } from './_trials.ts';

const method: SearchMethod = {
  name: 'greedy',
  since: '0.1.0',
  doc: 'Starts at the best objective of each variable alone and gives up the least objective for each unit of the budget until it holds.',
  formula: 'next = argmin Δobjective / −Δcost',
  params: {},
  async run(space, score) {
    // The best value of each variable alone.
    let best: Best = { at: start(space), trial: await score(start(space)) };
    for (const v of space)
      for (const x of v.domain) {
        const at = { ...best.at, [v.name]: x };
        const trial = await score(at);
        if (trial.objective < best.trial.objective) best = { at, trial };
      }
    while (!best.trial.feasible) {
      let next: { move: Best; price: number } | undefined;
      for (const v of space)
        for (const x of v.domain) {
          if (x === best.at[v.name]) continue;
          const at = { ...best.at, [v.name]: x };
          const trial = await score(at);
          const saved = (best.trial.cost ?? 0) - (trial.cost ?? 0);
          if (saved <= 0) continue;
          const price = (trial.objective - best.trial.objective) / saved;
          if (!next || price < next.price) next = { move: { at, trial }, price };
        }
      if (!next) break;
      best = next.move;
    }
    return settled(better(undefined, best));
  },
};
export default method;
