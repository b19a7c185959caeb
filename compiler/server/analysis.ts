/** Everything that a text and its model say: the checker's mistakes, then those of the plan; and the plans of what is right. */
import { type Diagnostic, QcError } from '../../grammar/diagnostics.ts';
import { check } from '../check/check.ts';
import { names } from '../driver/planner.ts';
import { chooseTarget, refusals } from '../driver/target.ts';
import { type Planned, plan } from '../plan/plan.ts';
import type { Program, Recipe } from '../recipe.ts';
import type { Bound, Document, Workspace } from './workspace.ts';

export interface Analysis {
  readonly diagnostics: readonly Diagnostic[];
  /** The program without the statements that are wrong; absent where nothing could be saved. */
  readonly program?: Program;
  readonly bound?: Bound;
  /** Plans by recipe, where a model is bound. */
  readonly plans: ReadonlyMap<string, Planned>;
}

/** Mistakes that are looked for one after another before giving up. */
const most = 25;

/** Checks a document, and plans its recipes where a model is bound. Never throws for wrong text. */
export function analyze(ws: Workspace, d: Document): Analysis {
  const resolve = (spec: string, from: string) => ws.use(spec, from);
  const first = check({ path: d.path, text: d.text }, resolve);
  const bound = ws.bound(d);
  const known = [...first.diagnostics];
  if (!bound) return { diagnostics: known, plans: new Map(), ...(first.program ? { program: first.program } : {}) };
  let text = d.text;
  let program = first.program;
  for (let i = 0; !program && i < 3; i++) {
    const wrong = (i === 0 ? known : check({ path: d.path, text }, resolve).diagnostics).filter((x) => x.severity === 'error');
    text = wrong.reduce((t, x) => without(t, d, x), text);
    program = check({ path: d.path, text }, resolve).program;
  }
  const plans = new Map<string, Planned>();
  for (const name of program?.recipes.map((r) => r.name) ?? []) {
    let recipe = program?.recipes.find((r) => r.name === name);
    let kept = text;
    for (let i = 0; recipe && i < most; i++) {
      try {
        const planned = plan({ recipe, model: bound.model, sites: bound.sites, names });
        plans.set(name, planned);
        known.push(...refusals(planned, chooseTarget(planned, undefined).target));
        break;
      } catch (error) {
        if (!(error instanceof QcError)) throw error;
        const next: string = error.diagnostics.reduce((t, x) => without(t, d, x), kept);
        for (const x of error.diagnostics) if (!known.some((y) => same(x, y))) known.push(x);
        if (next === kept) break;
        kept = next;
        recipe = again(d, kept, resolve, name);
      }
    }
  }
  return { diagnostics: known, plans, bound, ...(program ? { program } : {}) };
}
const same = (a: Diagnostic, b: Diagnostic): boolean =>
  a.code === b.code && a.span?.start === b.span?.start && a.span?.file === b.span?.file;
const again = (d: Document, text: string, resolve: Workspace['use'], name: string): Recipe | undefined =>
  check({ path: d.path, text }, resolve).program?.recipes.find((r) => r.name === name);

/** The text with the statement of a mistake made white, so that all other places stay where they are. */
function without(text: string, d: Document, x: Diagnostic): string {
  const at = x.span;
  if (at === undefined || at.file !== d.path) return text;
  const found = d.scan.statements.findLast(
    (s) => s.token.startOffset <= at.start && at.start < Math.max(s.to, s.token.startOffset + 1) && s.verb !== 'recipe',
  );
  const before = found ?? d.scan.statements.findLast((s) => s.token.startOffset <= at.start && s.verb !== 'recipe');
  if (!before) return text;
  const [from, to] = [before.token.startOffset, Math.max(before.to, Math.min(at.end, text.length))];
  return text.slice(0, from) + text.slice(from, to).replace(/[^\n\r]/g, ' ') + text.slice(to);
}
