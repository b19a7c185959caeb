/** Statements of a recipe, each from its syntax to its checked form. */
import type * as Ast from '../../grammar/ast.ts';
import { find, statements } from '../catalog/index.ts';
import type { Expr, Fields, Recipe, Selection, Statement } from '../recipe.ts';
import { type NameKind, ref, type Schema } from '../schema.ts';
import { checkApply } from './apply.ts';
import { fieldsOf } from './arguments.ts';
import { type Context, lookup, report } from './context.ts';
import { checkDomain, checkEach } from './domain.ts';
import { checkCondition } from './expression.ts';
import { named } from './param.ts';
import { checkQuantize } from './quantize.ts';
import { entryOf } from './renamed.ts';
import { hasEdge } from './selection.ts';

/** Gives the checked form of a recipe that is applied; undefined where it is wrong. */
export type RecipeOf = (file: Context['file'], decl: Ast.RecipeDecl, at: Ast.Expr, ctx: Context) => Recipe | undefined;

/** Checks one statement. undefined: a `let` of a value (kept in `lets`), or too wrong to go on. */
export function checkStatement(ctx: Context, s: Ast.Stmt, recipeOf: RecipeOf): Statement | undefined {
  const at = { span: s.span, text: ctx.text(s) };
  switch (s.kind) {
    case 'doc':
      return { verb: 'doc', value: s.text.value, ...at };
    case 'let': {
      if (!s.domain) return undefined;
      const each = s.each ? { each: checkEach(ctx, s.each) } : {};
      return { verb: 'let', name: s.name.name, domain: checkDomain(ctx, s.domain), ...each, ...at };
    }
    case 'calibrate': {
      const source = ctx.read.param(ctx, s.source, ref('source', { doc: 'Where data comes from.' }), '`calibrate`');
      return { verb: 'calibrate', source, fields: fieldsOf(ctx, s.fields, statements.calibrate, '`calibrate`', s.span), ...at };
    }
    case 'schedule':
      return { verb: 'schedule', name: s.name.name, fields: fieldsOf(ctx, s.fields, statements.schedule, '`schedule`', s.span), ...at };
    case 'transform': {
      const on = ctx.read.selection(ctx, s.on);
      const { fields, when, name } = recordOf(ctx, s.name, 'transform', s.fields, statements.transform, s.span);
      return { verb: 'transform', kind: name, on, fields, ...when, ...at };
    }
    case 'solve': {
      const on = ctx.read.selection(ctx, s.on);
      const { fields, when, name } = recordOf(ctx, s.name, 'solver', s.fields, statements.solve, s.span);
      return { verb: 'solve', solver: name, on, fields, ...when, ...at };
    }
    case 'quantize': {
      const q = checkQuantize(ctx, s);
      noEdges(ctx, 'quantize', q.of);
      const { fields, when } = split(ctx, q.fields, s.fields);
      return { verb: 'quantize', ...(q.ports.length ? { ports: q.ports } : {}), of: q.of, as: q.as, fields, ...when, ...at };
    }
    case 'prune': {
      const of = sites(ctx, 'prune', s.of);
      const as = ctx.read.param(ctx, s.as, ref('format', { doc: 'A sparsity.' }), '`as`');
      const { fields, when } = split(ctx, fieldsOf(ctx, s.fields, statements.prune, '`prune`', s.span), s.fields);
      return { verb: 'prune', of, as, fields, ...when, ...at };
    }
    case 'search': {
      const fields = fieldsOf(ctx, s.fields, statements.search, '`search`', s.fields.span);
      const budget = s.fields.fields.find((f) => f.key.name === 'budget');
      if (budget) checkCondition({ ...ctx, report: onlyForm(ctx) }, budget.value, '`budget`');
      return { verb: 'search', variables: s.names.map((n) => n.name), fields, ...at };
    }
    case 'keep':
      return { verb: 'keep', of: sites(ctx, 'keep', s.of), ...(s.at ? { at: cast(ctx, s.at) } : {}), ...at };
    case 'apply': {
      const to = s.to ? { to: sites(ctx, 'apply', s.to) } : {};
      const applied = checkApply(ctx, s.what, recipeOf);
      return applied && { verb: 'apply', ...applied, ...to, ...at };
    }
    case 'target': {
      const entry = named(ctx, s.name, 'target');
      return {
        verb: 'target',
        name: entry?.name ?? s.name.name,
        fields: fieldsOf(ctx, s.fields, entry?.params ?? {}, `\`${s.name.name}\``, s.span),
        ...at,
      };
    }
    case 'evaluate':
      return checkEvaluate(ctx, s);
    case 'require':
      return { verb: 'require', condition: checkCondition(ctx, s.condition, '`require`'), ...at };
  }
}

/** `evaluate arena { … }`, or something that is measured and reported. */
export function checkEvaluate(ctx: Context, s: Ast.Evaluate): Extract<Statement, { verb: 'evaluate' }> {
  const at = { span: s.span, text: ctx.text(s) };
  const entry = s.what.kind === 'name' && !lookup(ctx, s.what.name) ? entryOf(ctx, 'evaluation', s.what.name) : undefined;
  if (entry && s.what.kind === 'name') {
    named(ctx, s.what, 'evaluation');
    const fields = fieldsOf(ctx, s.fields, entry.params, `\`${entry.name}\``, s.span);
    return { verb: 'evaluate', what: { kind: 'call', of: 'evaluation', name: entry.name, args: {}, span: s.what.span }, fields, ...at };
  }
  const what = ctx.read.expression(ctx, s.what);
  return { verb: 'evaluate', what, fields: fieldsOf(ctx, s.fields, statements.evaluate, '`evaluate`', s.span), ...at };
}

/** Names in a condition were read with the record; here only its form counts. */
const onlyForm =
  (ctx: Context): Context['report'] =>
  (d) => {
    if (d.code === 'not-a-condition') ctx.report(d);
  };

function recordOf(
  ctx: Context,
  name: Ast.Name,
  kind: NameKind,
  record: Ast.RecordExpr | undefined,
  common: Schema,
  span: Ast.Stmt['span'],
) {
  const entry = named(ctx, name, kind);
  // Without a schema nothing can be said of the fields.
  if (!entry) return { name: name.name, fields: {}, when: {} };
  return { name: entry.name, ...split(ctx, fieldsOf(ctx, record, { ...entry.params, ...common }, `\`${name.name}\``, span), record) };
}

/** Takes `when` out of a record: a condition. */
function split(ctx: Context, all: Fields, record: Ast.RecordExpr | undefined): { fields: Fields; when: { when?: Expr } } {
  const { when, ...fields } = all;
  const written = record?.fields.find((f) => f.key.name === 'when');
  if (written) checkCondition({ ...ctx, report: onlyForm(ctx) }, written.value, '`when`');
  return { fields, when: when ? { when } : {} };
}

function sites(ctx: Context, verb: string, e: Ast.Expr): Selection {
  const s = ctx.read.selection(ctx, e);
  noEdges(ctx, verb, s);
  return s;
}
function noEdges(ctx: Context, verb: string, s: Selection): void {
  if (hasEdge(s)) report(ctx, 'edge-not-allowed', s.span, verb);
}

/** The float type of `keep … at`. */
function cast(ctx: Context, e: Ast.Expr): Expr {
  const at = ctx.read.param(ctx, e, ref('format', { doc: 'A float type.' }), '`at`');
  const entry = at.kind === 'call' ? find('format', at.name) : undefined;
  if (entry && !entry.cast && !entry.planned) report(ctx, 'keep-at', e.span, entry.name);
  return at;
}
