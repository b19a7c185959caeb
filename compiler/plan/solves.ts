/** Which solver finds the numbers of which site. The latest statement wins, as for types. */
import type { Solver } from '../define.ts';
import type { Statement } from '../recipe.ts';
import type { Site } from '../sites.ts';
import { deciderOf, type Scoped } from './apply.ts';
import { dataOf, failAt, mapFields, truth } from './bind.ts';
import { withDefaults } from './resolve.ts';
import { type Ground, select } from './select.ts';
import type { PlannedSolve, Slot } from './types.ts';
import { wordIn } from './words.ts';

/** In which order solvers of one layer run (language.md, rule 1). */
const ORDER = ['weight', 'codes', 'correction'] as const;

type Of = Scoped<Extract<Statement, { verb: 'solve' }>>;

/** Plans the solvers. Errors: `planned` (a solver that is not built), `nothing-to-solve`, `dead-selection`. */
export function planSolves(statements: readonly Of[], ground: Ground, slots: readonly Slot[], solvers: readonly Solver[]): PlannedSolve[] {
  const coded = new Set(slots.filter((s) => s.port === 'weight' && s.type?.codes).map((s) => s.site.id));
  const winners = new Map<string, PlannedSolve>();
  const slot = (site: Site, decides: Solver['decides']) => `${site.id}\n${decides}`;
  for (const s of statements) {
    const { statement, scope, within } = s;
    const def = solvers.find((d) => d.name === statement.solver);
    if (!def) return failAt('planned', `\`solve ${statement.solver}\` is not built yet.`, statement.span);
    const { sites } = select(statement.on, ground, within);
    const found = sites.filter((site) => coded.has(site.id));
    if (found.length === 0)
      failAt(
        'nothing-to-solve',
        `\`${statement.solver}\` finds the codes of weights, and no weight that is selected here has any.`,
        statement.span,
        'Quantize it: `quantize weight of linear as int4 { group: 128 }`.',
      );
    const fields = mapFields(statement.fields, scope);
    const given = Object.entries(fields).map(([k, v]) => [k, v.kind === 'ref' ? wordIn(v) : dataOf(v)] as const);
    const solver = { name: def.name, args: withDefaults(def.params, Object.fromEntries(given)) };
    const later = def.later?.(solver.args as never);
    if (later) failAt('planned', `\`${later}\` of \`solve ${def.name}\` is not built yet.`, statement.span);
    for (const site of found) {
      if (statement.when && !truth(statement.when, { ...scope, unit: site.tied })) continue;
      winners.set(slot(site, def.decides), { site, solver, decides: def.decides, by: deciderOf(s) });
    }
  }
  return ground.sites.sites.flatMap((site) => ORDER.flatMap((decides) => winners.get(slot(site, decides)) ?? []));
}
