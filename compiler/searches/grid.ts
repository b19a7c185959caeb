import { fail } from '../../grammar/diagnostics.ts';
import type { SearchMethod } from '../define.ts';
import { int } from '../schema.ts';
import { type Best, better, settled, start } from './_trials.ts';

const params = { limit: int({ doc: 'Most trials that are allowed.', min: 1, max: 1000000, default: 10000 }) };

const method: SearchMethod<typeof params> = {
  name: 'grid',
  since: '0.1.0',
  doc: 'Tries every combination. For one or two variables; more trials than `limit` are an error.',
  params,
  positional: ['limit'],
  async run(space, score, p) {
    const trials = space.reduce((n, v) => n * v.domain.length, 1);
    if (trials > p.limit)
      fail(
        'search-size',
        `A grid over ${space.length} variables has ${trials} points, more than ${p.limit}.`,
        'Use method: sitewise, coordinate or ilp.',
      );
    let best: Best | undefined;
    const at = start(space);
    const walk = async (i: number): Promise<void> => {
      const v = space[i];
      if (!v) {
        best = better(best, { at: { ...at }, trial: await score({ ...at }) });
        return;
      }
      for (const x of v.domain) {
        at[v.name] = x;
        await walk(i + 1);
      }
    };
    await walk(0);
    return settled(best);
  },
};
export default method;
