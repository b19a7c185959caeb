/** Plans under which every type that a search may choose appears, so that targets and calibration know of all of them. */
import type { Planned } from '../plan/plan.ts';
import type { Search, Variable } from '../plan/variables.ts';
import type { Binding } from '../recipe.ts';

const variablesOf = (searches: readonly Search[]): Variable[] => searches.flatMap((s) => [...s.variables, ...variablesOf(s.inner)]);

/** One plan for each value: the i-th has the i-th value of every domain. Without variables: the plan itself. */
export function trialPlans(first: Planned, planAt: (b: Binding) => Planned): Planned[] {
  const variables = variablesOf(first.nested);
  const longest = Math.max(1, ...variables.map((v) => v.domain.length));
  return Array.from({ length: longest }, (_, i) =>
    i === 0
      ? first
      : planAt({ ...first.binding, ...Object.fromEntries(variables.map((v) => [v.key, v.domain[Math.min(i, v.domain.length - 1)]!])) }),
  );
}
