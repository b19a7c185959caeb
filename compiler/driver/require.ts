/** The contract: every `require` of a recipe, and what `evaluate` asks for, on the lowered model. */
import type { Metric } from '../define.ts';
import { type Call, evaluate, failAt, type Scope, truth, type Val } from '../plan/bind.ts';
import type { Planned } from '../plan/plan.ts';
import type { Expr } from '../recipe.ts';
import { saidOf } from './explanation.ts';
import { type Known, measuring, metricCalls, outputsOf } from './measured.ts';
import { metricOf } from './metrics.ts';
import { asksSpeed } from './speed.ts';
import type { CompileResult, Required } from './types.ts';

type Asked = Planned['requires'][number]['scope'];
const expressions = (plan: Planned): { e: Expr; scope: Asked }[] => [
  ...plan.requires.map((r) => ({ e: r.condition, scope: r.scope })),
  ...plan.evaluations.map((r) => ({ e: r.what, scope: r.scope })),
];

/** Outputs of the model that have to be compared with the float model's. */
export function outputsToCompare(plan: Planned, model: Known['model']): string[] {
  return [...new Set(expressions(plan).flatMap(({ e, scope }) => metricCalls(e, scope).flatMap((c) => outputsOf(c, scope, model))))];
}

/** What is measured on them. */
export function metricsToCompare(plan: Planned): Metric[] {
  const all = expressions(plan).flatMap(({ e, scope }) => metricCalls(e, scope).flatMap((c) => metricOf(c, scope) ?? []));
  return [...new Map(all.map((m) => [m.name, m])).values()];
}

/** Has the speed to be measured? */
export const needsSpeed = (plan: Planned): boolean => expressions(plan).some(({ e, scope }) => asksSpeed(e, scope));

/** Judges every `require`. */
export function judge(plan: Planned, known: Known): Required[] {
  return plan.requires.map(({ condition, scope, by }) => {
    const at = measuring({ ...scope, binding: plan.binding }, known);
    const measured = parts(condition, at).map(([name, v]) => `${name} = ${shown(v, at, condition)}`);
    return {
      text: saidOf(by).text.replace(/^require\s+/, ''),
      passed: truth(condition, at),
      measured: measured.join(', ') || 'nothing',
      at: saidOf(by).at,
    };
  });
}

/** Values of everything that `evaluate` names. */
export function evaluations(plan: Planned, known: Known): CompileResult['metrics'][number][] {
  return plan.evaluations.map(({ what, scope, by }) => {
    const at = measuring({ ...scope, binding: plan.binding }, known);
    const v = evaluate(what, at);
    if (v.kind !== 'number')
      return failAt('not-a-number', '`evaluate` takes something that is measured, such as sqnr(output("logits")).', by.span);
    return {
      name: saidOf(by)
        .text.replace(/^evaluate\s+/, '')
        .replace(/\s*\{.*$/, ''),
      value: v.value,
      text: shown(v, at, what),
    };
  });
}

/** Everything that is measured in a condition, with its value. */
function parts(e: Expr, scope: Scope): [string, Val][] {
  if (e.kind === 'op') return [...parts(e.left, scope), ...parts(e.right, scope)];
  if (e.kind === 'not' || e.kind === 'neg') return parts(e.of, scope);
  if (e.kind === 'var') {
    const given = scope.recipe.lets.get(e.name);
    return given ? parts(given, scope) : [];
  }
  if (e.kind !== 'call') return [];
  const v = scope.measured?.(e as Call, scope);
  return v ? [[e.name, v]] : [];
}

function shown(v: Val, scope: Scope, beside: Expr): string {
  if (v.kind !== 'number') return 'unknown';
  if (v.unit === 'B') return `${Math.round(v.value)} B (${(v.value / (scope.whole ?? v.value)).toFixed(4)}x)`;
  const x = Math.abs(v.value) >= 1e-3 || v.value === 0 ? String(Number(v.value.toPrecision(4))) : v.value.toExponential(2);
  return `${x}${v.unit ?? ''}${percent(beside) && v.unit === undefined ? ` (${(100 * v.value).toFixed(2)}%)` : ''}`;
}
const percent = (e: Expr): boolean => (e.kind === 'op' ? percent(e.left) || percent(e.right) : e.kind === 'number' && e.unit === '%');
