/** Selections: roles, functions, set algebra and edges. */
import type * as Ast from '../../grammar/ast.ts';
import { portNames, roles, type Selector, selectorOf, statements } from '../catalog/index.ts';
import type { Expr, Selection } from '../recipe.ts';
import { argsOf } from './arguments.ts';
import { type Context, type Local, lookup, nearest, nounOf, report, suggest } from './context.ts';
import { canonical, tellRenamed } from './renamed.ts';

const comparisons = new Set(['<=', '>=', '==', '<', '>']);

/** Does the expression speak of sites? Decides how a `let` and a free expression are read. */
export function isSelection(ctx: Context, e: Ast.Expr): boolean {
  switch (e.kind) {
    case 'name': {
      const local = lookup(ctx, e.name);
      if (local) return holdsSelection(local);
      return e.name === 'any' || isRole(ctx, e.name);
    }
    case 'member':
      if (e.of.kind === 'name') {
        const local = importedLet(ctx, e);
        if (local) return holdsSelection(local);
        return !lookup(ctx, e.of.name) && isRole(ctx, e.of.name);
      }
      return isSelection(ctx, e.of);
    case 'call':
      return e.callee.kind === 'name' && selectorOf.has(e.callee.name) && !lookup(ctx, e.callee.name);
    case 'unary':
      return e.op === 'not' && isSelection(ctx, e.of);
    case 'binary':
      if (e.op === '->' || e.op === '<->') return true;
      if (e.op === 'and' || e.op === 'or') return isSelection(ctx, e.left) || isSelection(ctx, e.right);
      return isSiteSize(e);
    default:
      return false;
  }
}
/** `size >= 1M`: no unit or M. With bytes or x it is the model's size. */
const isSiteSize = (e: Extract<Ast.Expr, { kind: 'binary' }>): boolean =>
  comparisons.has(e.op) &&
  e.left.kind === 'name' &&
  e.left.name === 'size' &&
  e.right.kind === 'number' &&
  (!e.right.unit || e.right.unit === 'M');

/** Is the value of a `let` a selection? Found once; a circle of lets is none. */
function holdsSelection(l: Local): boolean {
  if (l.kind !== 'let' || l.value === undefined) return false;
  if (l.memo.selection === undefined) {
    l.memo.selection = false;
    l.memo.selection = isSelection(l.in, l.value);
  }
  return l.memo.selection;
}

/** `here.body`: a let of a file that is used. */
export function importedLet(ctx: Context, e: Extract<Ast.Expr, { kind: 'member' }>): Local | undefined {
  if (e.of.kind !== 'name' || lookup(ctx, e.of.name)) return undefined;
  return ctx.file.packages.get(e.of.name)?.lets.get(e.name.name);
}

const nothing = (span: Ast.Expr['span']): Selection => ({ kind: 'any', span });

/** Reads a selection. Errors are reported; what is returned then stands for nothing. */
export function checkSelection(ctx: Context, e: Ast.Expr): Selection {
  const { span } = e;
  switch (e.kind) {
    case 'broken':
      return nothing(span);
    case 'name': {
      if (e.name === 'any' && !lookup(ctx, 'any')) return { kind: 'any', span };
      const local = lookup(ctx, e.name);
      return local ? named(ctx, e, local, e.name) : role(ctx, e, e.name);
    }
    case 'member': {
      const local = importedLet(ctx, e);
      if (local) return named(ctx, e, local, `${(e.of as Ast.Name).name}.${e.name.name}`);
      if (e.of.kind === 'name' && !lookup(ctx, e.of.name)) return role(ctx, e, e.of.name, e.name);
      break;
    }
    case 'call': {
      const selector = e.callee.kind === 'name' && !lookup(ctx, e.callee.name) ? selectorOf.get(e.callee.name) : undefined;
      if (selector) return call(ctx, e, selector);
      if (e.callee.kind === 'name') {
        const near = nearest(e.callee.name, selectorOf.keys());
        suggest(ctx, 'unknown-name', e.callee.span, near, 'selection', e.callee.name, near, [...selectorOf.keys()]);
        return nothing(span);
      }
      break;
    }
    case 'unary':
      if (e.op === 'not') return { kind: 'not', of: checkSelection(ctx, e.of), span };
      break;
    case 'binary':
      if (e.op === 'and' || e.op === 'or') {
        return { kind: e.op, left: checkSelection(ctx, e.left), right: checkSelection(ctx, e.right), span };
      }
      if (e.op === '->' || e.op === '<->') {
        return { kind: 'edge', from: checkSelection(ctx, e.left), to: checkSelection(ctx, e.right), tied: e.op === '<->', span };
      }
      if (comparisons.has(e.op) && e.left.kind === 'name' && e.left.name === 'size') {
        const value = ctx.read.param(ctx, e.right, statements.sizeOf, 'size');
        const rel = e.op as '<=' | '>=' | '==' | '<' | '>';
        return { kind: 'size', rel, value: value.kind === 'number' ? value.value * (value.unit === 'M' ? 1e6 : 1) : 0, span };
      }
  }
  report(ctx, 'not-a-selection', span, nounOf(e));
  return nothing(span);
}

function named(ctx: Context, e: Ast.Expr, local: Local, name: string): Selection {
  if (local.kind !== 'let' || local.value === undefined || !holdsSelection(local)) {
    if (!ctx.file.doubtful.has(name)) report(ctx, 'not-a-selection', e.span, `\`${name}\``);
    return nothing(e.span);
  }
  // Its own mistakes are reported where it is declared.
  local.memo.value ??= checkSelection({ ...local.in, report: () => undefined }, local.value);
  return { kind: 'named', name, of: local.memo.value, span: e.span };
}

const isRole = (ctx: Context, name: string): boolean => roles.has(canonical(ctx, 'role', name));

function role(ctx: Context, e: Ast.Expr, word: string, member?: Ast.Name): Selection {
  const name = roles.has(word) ? word : canonical(ctx, 'role', word);
  if (name !== word) tellRenamed(ctx, 'role', word, e.kind === 'member' ? e.of.span : e.span);
  const found = roles.get(name);
  if (!found) {
    if (ctx.file.doubtful.has(name)) return nothing(e.span);
    const known = [...roles.keys(), ...[...ctx.locals.values()].filter(holdsSelection).map((l) => l.name.name)];
    const at = e.kind === 'member' ? e.of.span : e.span;
    if (e.kind === 'member' && !known.some((k) => k === name) && nearest(name, known) === undefined) {
      report(ctx, 'unknown-package', at, name);
      return nothing(e.span);
    }
    const near = nearest(name, [...known, 'any']);
    suggest(ctx, 'unknown-name', at, near, 'role or selection', name, near, [...roles.keys()]);
    return nothing(e.span);
  }
  if (found.planned) report(ctx, 'planned', e.span, 'role', name);
  if (member === undefined) return { kind: 'role', role: name, span: e.span };
  const members = [...new Set([...Object.keys(found.members), ...found.ports])];
  if (!members.includes(member.name)) {
    const near = nearest(member.name, members);
    suggest(ctx, 'unknown-member', member.span, near, name, member.name, near, members);
  }
  return { kind: 'role', role: name, member: member.name, span: e.span };
}

const text = (e: Expr | undefined): string => (e?.kind === 'string' ? e.value : '');
const whole = (e: Expr | undefined): number => (e?.kind === 'number' ? e.value : e?.kind === 'neg' ? -whole(e.of) : 0);

function call(ctx: Context, e: Extract<Ast.Expr, { kind: 'call' }>, selector: Selector): Selection {
  const { span } = e;
  const args = argsOf(ctx, e.args, selector, `\`${selector.name}\``, span);
  switch (selector.name) {
    case 'path': {
      const [glob, re] = [args['glob'], args['re']];
      if ((glob === undefined) === (re === undefined)) report(ctx, 'bad-path', span);
      if (re) checkRegex(ctx, re);
      return re ? { kind: 'path', re: text(re), span } : { kind: 'path', glob: text(glob), span };
    }
    case 'op':
      return { kind: 'op', type: text(args['type']), span };
    case 'block': {
      const r = args['range'];
      return r?.kind === 'range'
        ? { kind: 'block', from: whole(r.from), to: whole(r.to), span }
        : { kind: 'block', from: whole(r), to: whole(r), span };
    }
    case 'optional':
      return { kind: 'optional', of: args['of']?.kind === 'selection' ? args['of'].selection : nothing(span), span };
    default:
      return { kind: selector.name as 'input' | 'output' | 'graph' | 'skip', name: text(args['name']), span };
  }
}

function checkRegex(ctx: Context, re: Expr): void {
  try {
    new RegExp(`^(?:${text(re)})$`, 'u');
  } catch (cause) {
    report(ctx, 'bad-regex', re.span, cause instanceof Error ? cause.message.replace(/^Invalid regular expression: /, '') : String(cause));
  }
}

/** Does it select edges anywhere? */
export function hasEdge(s: Selection): boolean {
  switch (s.kind) {
    case 'edge':
      return true;
    case 'and':
    case 'or':
      return hasEdge(s.left) || hasEdge(s.right);
    case 'not':
    case 'optional':
    case 'named':
      return hasEdge(s.of);
    default:
      return false;
  }
}

/** Roles that selected sites can have; undefined where the selection says nothing of roles. */
export function rolesIn(s: Selection): ReadonlySet<string> | undefined {
  switch (s.kind) {
    case 'role': {
      const of = s.member === undefined ? undefined : roles.get(s.role)?.members[s.member];
      if (s.member !== undefined) return of ? new Set([of]) : undefined;
      if (s.role === 'attention') return new Set(['attention', 'linear']);
      return ['linear', 'conv', 'norm', 'softmax', 'activation', 'embedding', 'ssm', 'migrated'].includes(s.role)
        ? new Set([s.role])
        : undefined;
    }
    case 'and': {
      const [a, b] = [rolesIn(s.left), rolesIn(s.right)];
      return a && b ? new Set([...a].filter((r) => b.has(r))) : (a ?? b);
    }
    case 'or': {
      const [a, b] = [rolesIn(s.left), rolesIn(s.right)];
      return a && b ? new Set([...a, ...b]) : undefined;
    }
    case 'named':
    case 'optional':
      return rolesIn(s.of);
    default:
      return undefined;
  }
}

/** Is it about the linears whose steps `transform migrate` moved (and not about all others)? */
export function speaksOf(s: Selection, role: string): boolean {
  if (s.kind === 'role') return s.role === role;
  if (s.kind === 'and' || s.kind === 'or') return speaksOf(s.left, role) || speaksOf(s.right, role);
  return s.kind === 'named' || s.kind === 'optional' ? speaksOf(s.of, role) : false;
}

/** Ports of those roles; all ports of the language where nothing is known. */
export const portsOf = (of: ReadonlySet<string> | undefined): ReadonlySet<string> =>
  of === undefined ? portNames : new Set([...of].flatMap((r) => roles.get(r)?.ports ?? []));
