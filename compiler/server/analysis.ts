/** Everything that a text and its model say: the checker's mistakes, then those of the plan; and the plans of what is right. */
import { type Diagnostic, QcError } from '../../grammar/diagnostics.ts';
import { check } from '../check/check.ts';
import { names } from '../driver/planner.ts';
import { chooseTarget, refusals } from '../driver/target.ts';
import { type Planned, plan } from '../plan/plan.ts';
import type { Program, Recipe } from '../recipe.ts';
import { carried, type Moved, unmoved } from './moved.ts';
import type { Bound, Document, Workspace } from './workspace.ts';

export interface Analysis {
  /** What the checker says. */
  readonly checked: readonly Diagnostic[];
  /** The program without the statements that are wrong; absent where nothing could be saved. */
  readonly program?: Program;
  readonly bound?: Bound;
  /** Where places of the text that is asked about are in the text that was analyzed. */
  readonly moved: Moved;
  /** Plans one recipe on the bound model, once. */
  plan(recipe: string): PlannedRecipe;
  /** The plan of a recipe where it is made already. */
  made(recipe: string): PlannedRecipe;
}
export const nothing: Analysis = { checked: [], moved: unmoved, plan: () => ({ diagnostics: [] }), made: () => ({ diagnostics: [] }) };
/** An analysis of an older text, for questions about a newer one. */
export const since = (a: Analysis, path: string, m: Moved): Analysis => {
  const carry = (all: readonly Diagnostic[]): Diagnostic[] => all.flatMap((x) => carried(x, path, m) ?? []);
  const later = (p: PlannedRecipe): PlannedRecipe => ({ ...p, diagnostics: carry(p.diagnostics) });
  return { ...a, checked: carry(a.checked), moved: m, plan: (r) => later(a.plan(r)), made: (r) => later(a.made(r)) };
};
export interface PlannedRecipe {
  /** The plan of what is right. */
  readonly plan?: Planned;
  readonly diagnostics: readonly Diagnostic[];
}

/** Mistakes that are looked for one after another before giving up. */
const most = 25;

/** Checks a document. Never throws for wrong text. */
export function analyze(ws: Workspace, d: Document): Analysis {
  const resolve = (spec: string, from: string) => ws.use(spec, from);
  const first = check({ path: d.path, text: d.text }, resolve);
  const bound = ws.bound(d);
  let text = d.text;
  let program = first.program;
  for (let i = 0; bound && !program && i < 3; i++) {
    const wrong = (i === 0 ? first.diagnostics : check({ path: d.path, text }, resolve).diagnostics).filter((x) => x.severity === 'error');
    text = wrong.reduce((t, x) => without(t, d, x), text);
    program = check({ path: d.path, text }, resolve).program;
  }
  const plans = new Map<string, PlannedRecipe>();
  return {
    checked: first.diagnostics,
    moved: unmoved,
    made: (name) => plans.get(name) ?? { diagnostics: [] },
    ...(program ? { program } : {}),
    ...(bound ? { bound } : {}),
    plan(name) {
      const recipe = program?.recipes.find((r) => r.name === name);
      const made = plans.get(name) ?? (recipe && bound ? planned(d, text, recipe, bound, resolve) : { diagnostics: [] });
      plans.set(name, made);
      return made;
    },
  };
}

/** Every mistake of a document: the checker's, then those of each recipe's plan. */
export const everything = (a: Analysis): Diagnostic[] =>
  distinct([...a.checked, ...(a.program?.recipes ?? []).flatMap((r) => a.plan(r.name).diagnostics)]);
/** Those of the recipe that covers an offset, and the checker's. */
export const around = (a: Analysis, offset: number): Diagnostic[] =>
  distinct([...a.checked, ...(a.program?.recipes ?? []).flatMap((r) => (covers(a, r, offset) ? a.made(r.name).diagnostics : []))]);

const covers = (a: Analysis, r: Recipe, offset: number): boolean => {
  const at = a.moved.old(offset);
  return at !== undefined && r.span.start <= at && at <= r.span.end;
};

/** Plans a recipe; a statement that cannot be planned is left out and the rest planned again, so that every mistake is told. */
function planned(d: Document, text: string, first: Recipe, bound: Bound, resolve: Workspace['use']): PlannedRecipe {
  const diagnostics: Diagnostic[] = [];
  let recipe: Recipe | undefined = first;
  let kept = text;
  for (let i = 0; recipe && i < most; i++) {
    try {
      const made = plan({ recipe, model: bound.model, sites: bound.sites, names });
      return { plan: made, diagnostics: [...diagnostics, ...refusals(made, chooseTarget(made, undefined).target)] };
    } catch (error) {
      if (!(error instanceof QcError)) throw error;
      diagnostics.push(...error.diagnostics);
      const next: string = error.diagnostics.reduce((t, x) => without(t, d, x), kept);
      if (next === kept) break;
      kept = next;
      recipe = again(d, kept, resolve, first.name);
    }
  }
  return { diagnostics };
}
const distinct = (all: readonly Diagnostic[]): Diagnostic[] => all.filter((x, i) => all.findIndex((y) => same(x, y)) === i);
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
