/** What a selection matches in the bound model, and what the plan makes of it. */
import { QcError } from '../../grammar/diagnostics.ts';
import type { Planned } from '../plan/plan.ts';
import { select } from '../plan/select.ts';
import { sizesOf } from '../plan/size.ts';
import type { Expr, Recipe, Selection, Statement } from '../recipe.ts';
import type { Site } from '../sites.ts';
import { collapsed } from './real.ts';
import type { Bound } from './workspace.ts';

/** The selections of a statement, in its head and in its fields. */
function selectionsOf(s: Statement): Selection[] {
  const inExpr = (e: Expr): Selection[] => {
    if (e.kind === 'selection') return [e.selection];
    if (e.kind === 'call') return Object.values(e.args).flatMap(inExpr);
    if (e.kind === 'op') return [...inExpr(e.left), ...inExpr(e.right)];
    if (e.kind === 'not' || e.kind === 'neg') return inExpr(e.of);
    return e.kind === 'list' ? e.items.flatMap(inExpr) : [];
  };
  const fields = 'fields' in s ? Object.values(s.fields).flatMap(inExpr) : [];
  const when = 'when' in s && s.when ? inExpr(s.when) : [];
  switch (s.verb) {
    case 'transform':
    case 'solve':
      return [s.on, ...fields, ...when];
    case 'quantize':
    case 'prune':
      return [s.of, ...fields, ...when];
    case 'keep':
      return [s.of];
    case 'apply':
      return s.to ? [s.to] : [];
    case 'require':
      return inExpr(s.condition);
    case 'let':
      return s.each ? inExpr(s.each) : [];
    default:
      return fields;
  }
}

/** The smallest selection of a recipe that covers an offset of its file. */
export function selectionAt(recipe: Recipe, file: string, offset: number): Selection | undefined {
  const lets = [...recipe.lets.values()].flatMap((e) => (e.kind === 'selection' ? [e.selection] : []));
  const all = [...recipe.statements.flatMap(selectionsOf), ...lets];
  const covers = (s: Selection): boolean => s.span.file === file && s.span.start <= offset && offset <= s.span.end;
  const parts = (s: Selection): Selection[] => {
    if (s.kind === 'and' || s.kind === 'or') return [s.left, s.right];
    if (s.kind === 'edge') return [s.from, s.to];
    return s.kind === 'not' || s.kind === 'optional' ? [s.of] : [];
  };
  let found = all.find(covers);
  for (let next = found; next; next = parts(next).find(covers)) found = next;
  return found;
}

const bytes = (n: number): string => {
  const unit = n >= 1e9 ? 'GB' : n >= 1e6 ? 'MB' : n >= 1e3 ? 'KB' : 'B';
  const value = n / { GB: 1e9, MB: 1e6, KB: 1e3, B: 1 }[unit];
  return `${unit === 'B' ? value : value.toPrecision(3)} ${unit}`;
};
const some = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

/** Sites as Markdown: how many, their weights before and after, and each kind of them with its types. */
function told(title: string, sites: readonly Site[], bound: Bound, plan: Planned | undefined): string {
  const sizes = plan && sizesOf(plan, bound.model, bound.bytes);
  const weights = sites.flatMap((s) => sizes?.weights.get(s.id) ?? []);
  const [before, after] = [weights.reduce((n, w) => n + w.before, 0), weights.reduce((n, w) => n + w.after, 0)];
  const chosen = new Set(sites.map((s) => s.id));
  const types = new Map<string, string[]>();
  for (const slot of plan?.slots ?? [])
    if (slot.type && chosen.has(slot.site.id))
      types.set(slot.site.id, [...(types.get(slot.site.id) ?? []), `${slot.port} ${slot.type.text}`]);
  const groups = new Map<string, number>();
  for (const s of sites) {
    const row = `\`${collapsed(s.path) || s.id}\` ${types.get(s.id)?.join(', ') ?? 'float'}`;
    groups.set(row, (groups.get(row) ?? 0) + 1);
  }
  const rows = [...groups].map(([row, n]) => `- ${row}${n > 1 ? ` × ${n}` : ''}`);
  const shown = rows.length > 12 ? [...rows.slice(0, 11), `- … ${rows.length - 11} more kinds`] : rows;
  const size = weights.length ? `: weights ${bytes(before)} → ${bytes(after)} (${(after / Math.max(1, before)).toFixed(3)}x)` : '';
  return [`**${some(sites.length, 'site')}** ${title} in ${bound.name}${size}`, '', ...shown].join('\n');
}

/** What a selection matches. A dead one says so. */
export function matched(s: Selection, bound: Bound, plan: Planned | undefined): string {
  try {
    const { sites, edges } = select(s, bound);
    return told(`match${sites.length === 1 ? 'es' : ''}${edges.length ? ` on ${some(edges.length, 'edge')}` : ''}`, sites, bound, plan);
  } catch (error) {
    if (!(error instanceof QcError)) throw error;
    return error.diagnostics.map((d) => `**${d.message}** ${d.hint ?? ''}`).join('\n');
  }
}

/** What a statement decides: the ports that it wins, with the sites they are of. */
export function decided(span: Statement['span'], bound: Bound, plan: Planned): string | undefined {
  const mine = plan.slots.filter((s) => s.by.span.file === span.file && s.by.span.start === span.start);
  const lost = plan.slots.filter((s) => s.shadowed.some((x) => x.span.file === span.file && x.span.start === span.start));
  if (mine.length + lost.length === 0) return undefined;
  const sites = plan.sites.sites.filter((s) => mine.some((m) => m.site === s));
  const over = lost.length
    ? `\n\n${some(lost.length, 'port')} of what it says ${lost.length === 1 ? 'is' : 'are'} decided by later statements.`
    : '';
  return `${told(`decided here (${some(mine.length, 'port')})`, sites, bound, plan)}${over}`;
}

/** The types that a statement gives, each once, with the number of sites: `weight int4 group 32 mse · 42 sites`. */
export function resolved(span: Statement['span'], plan: Planned): string | undefined {
  const mine = plan.slots.filter((s) => s.type && s.by.span.file === span.file && s.by.span.start === span.start);
  const types = [...new Set(mine.map((s) => `${s.port} ${s.type?.text}`))];
  if (types.length === 0) return undefined;
  const shown = types.length > 3 ? [...types.slice(0, 2), `${types.length - 2} more types`] : types;
  return `${shown.join(', ')} · ${some(new Set(mine.map((s) => s.site)).size, 'site')}`;
}
