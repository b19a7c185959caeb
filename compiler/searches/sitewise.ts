import type { Assignment, SearchMethod } from '../define.ts';
import { type Best, better, settled, start } from './_trials.ts';

const method: SearchMethod = {
  name: 'sitewise',
  since: '0.1.0',
  doc: 'Each variable for itself, all others at their first value: exact where the objective is a sum over sites, and linear in their number.',
  params: {},
  async run(space, score) {
    const first = start(space);
    const at: Assignment = {};
    for (const v of space) {
      let best: Best | undefined;
      for (const x of v.domain) best = better(best, { at: { [v.name]: x }, trial: await score({ ...first, [v.name]: x }) });
      Object.assign(at, best?.at);
    }
    return settled({ at, trial: await score(at) });
  },
};
export default method;
