/** Which target, and whether it can express what the plan wants. */
import { type Diagnostic, fail, QcError } from '../../grammar/diagnostics.ts';
import type { Target } from '../define.ts';
import type { Planned } from '../plan/plan.ts';
import { withDefaults } from '../plan/resolve.ts';
import type { Plan, QType } from '../plan/types.ts';
import { targets } from '../targets/index.ts';

export interface Chosen {
  readonly target: Target;
  readonly args: Record<string, unknown>;
}

/** The command line's target, else the recipe's, else `portable`. Error: `unknown-target`. */
export function chooseTarget(plan: Planned, asked: string | undefined): Chosen {
  const name = asked ?? plan.target?.name ?? 'portable';
  const target = targets.find((t) => t.name === name);
  if (!target) return fail('unknown-target', `There is no target \`${name}\`.`, `Targets: ${targets.map((t) => t.name).join(', ')}.`);
  return { target, args: withDefaults(target.params, plan.target?.name === name ? plan.target.args : {}) };
}

/** A type that the target cannot express is refused, never replaced. Error: `target-refuses`, one for each statement and reason. */
export function checkCovered(plan: Plan, target: Target): void {
  const refused = refusals(plan, target);
  if (refused.length) throw new QcError(refused);
}

/** What a target refuses of a plan. */
export function refusals(plan: Plan, target: Target): Diagnostic[] {
  const types = new Map<string, Record<string, QType>>();
  for (const s of plan.slots) if (s.type) types.set(s.site.id, { ...types.get(s.site.id), [s.port]: s.type });
  const refused = new Map<string, { d: Diagnostic; sites: string[] }>();
  for (const s of plan.slots) {
    const why = s.type && target.covers(s.site, s.port, s.type, types.get(s.site.id) ?? {});
    if (why === undefined) continue;
    const key = `${s.by.span.start} ${s.port} ${why}`;
    const known = refused.get(key);
    if (known) known.sites.push(s.site.path);
    else {
      const d: Diagnostic = {
        code: 'target-refuses',
        severity: 'error',
        span: s.by.span,
        message: `Target ${target.name} cannot express ${s.type!.text} on ${s.port}: ${why}.`,
      };
      refused.set(key, { d, sites: [s.site.path] });
    }
  }
  return [...refused.values()].map(({ d, sites }) => ({
    ...d,
    hint: `Sites: ${sites.slice(0, 3).join(', ')}${sites.length > 3 ? ` and ${sites.length - 3} more` : ''}.`,
  }));
}
