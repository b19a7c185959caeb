/** What every search method needs: a start, the better of two trials, an end without result. */
import { fail } from '../../grammar/diagnostics.ts';
import type { Assignment, Space, Trial } from '../define.ts';

export interface Best {
  readonly at: Assignment;
  readonly trial: Trial;
}

export const start = (space: Space): Assignment => Object.fromEntries(space.map((v) => [v.name, v.domain[0]!]));

/** Feasible before infeasible, then the smaller objective; the earlier of equals. NaN never wins. */
export function better(a: Best | undefined, b: Best): Best {
  if (!a) return b;
  if (a.trial.feasible !== b.trial.feasible) return b.trial.feasible ? b : a;
  return b.trial.objective < a.trial.objective || (Number.isNaN(a.trial.objective) && !Number.isNaN(b.trial.objective)) ? b : a;
}

/** The assignment, if it keeps the budget. Error `budget` otherwise. */
export function settled(best: Best | undefined): Assignment {
  if (best?.trial.feasible) return best.at;
  const { cost, limit } = best?.trial ?? {};
  return fail(
    'budget',
    `No value of the searched variables keeps the budget${cost === undefined || limit === undefined ? '' : `: the nearest is ${cost.toPrecision(6)}, and ${limit.toPrecision(6)} is allowed`}.`,
    'Raise the budget or widen the domains.',
  );
}
