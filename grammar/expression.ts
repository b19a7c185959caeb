/**
 * Operator precedence over the flat run of operands and operators that the parser read. Loosest first:
 * or · and · not · <= >= == < > · +- · -> <-> · .. by · + - · * / · unary -
 */
import type { BinaryOp, Expr } from './ast.ts';
import type { Diagnostic, Span } from './diagnostics.ts';

export type Part = { readonly operand: Expr } | { readonly op: string; readonly prefix: boolean; readonly span: Span };

const levels: readonly (readonly string[])[] = [
  ['or'],
  ['and'],
  ['not'],
  ['<=', '>=', '==', '<', '>'],
  ['+-'],
  ['->', '<->'],
  ['..', 'by'],
  ['+', '-'],
  ['*', '/'],
];
const binding = new Map(levels.flatMap((ops, i) => ops.map((op) => [op, i] as const)));
/** How tightly an operator binds; larger is tighter. Unary minus is tighter than all. */
export const precedence = (op: string): number => binding.get(op) ?? levels.length;
export const unaryMinus = levels.length;
/** Operators of which only one may stand in a row. */
const alone = new Set([precedence('=='), precedence('+-'), precedence('->'), precedence('..')]);

export const join = (a: Span, b: Span): Span => ({
  file: a.file,
  start: a.start,
  end: Math.max(a.end, b.end),
  line: a.line,
  column: a.column,
});

/** Builds the tree. `report` receives what precedence alone can see. */
export function climb(parts: readonly Part[], report: (d: Diagnostic) => void): Expr {
  const [first] = parts;
  if (parts.length === 1 && first && 'operand' in first) return first.operand;
  let at = 0;
  const where = (): Span => {
    const p = parts[Math.min(at, parts.length - 1)];
    return p && 'operand' in p ? p.operand.span : p!.span;
  };
  const peek = (): { op: string; span: Span } | undefined => {
    const p = parts[at];
    return p && !('operand' in p) && !p.prefix ? p : undefined;
  };
  const operand = (level: number): Expr => {
    const p = parts[at];
    if (p === undefined) return { kind: 'broken', span: where() };
    at++;
    if ('operand' in p) return p.operand;
    if (p.op === 'not' && level > precedence('not')) {
      report({
        code: 'syntax',
        severity: 'error',
        span: p.span,
        message: '`not` cannot stand right of a tighter operator',
        hint: 'Put parentheses around it: `a -> (not b)`.',
      });
    }
    const of = p.op === 'not' ? climbFrom(precedence('not')) : operand(unaryMinus);
    return { kind: 'unary', op: p.op as 'not' | '-', of, span: join(p.span, of.span) };
  };
  const climbFrom = (level: number): Expr => {
    let left = operand(level);
    let lastLevel = -1;
    for (let next = peek(); next !== undefined && precedence(next.op) >= level; next = peek()) {
      const mine = precedence(next.op);
      at++;
      const right = climbFrom(mine + 1);
      const span = join(left.span, right.span);
      if (next.op === 'by') {
        if (left.kind === 'range' && left.by === undefined) left = { ...left, by: right, span };
        else
          report({
            code: 'syntax',
            severity: 'error',
            span: next.span,
            message: '`by` gives the step of a range, and no range stands before it',
            hint: 'Write `0..1 by 0.05`.',
          });
      } else {
        if (mine === lastLevel && alone.has(mine)) {
          report({
            code: 'chained-operator',
            severity: 'error',
            span: next.span,
            message: `\`${next.op}\` cannot follow another operator of its kind`,
            hint: mine === precedence('==') ? 'Join two comparisons with `and`.' : 'Put parentheses around one of the two.',
          });
        }
        left =
          next.op === '..'
            ? { kind: 'range', from: left, to: right, span }
            : { kind: 'binary', op: next.op as BinaryOp, left, right, span };
      }
      lastLevel = mine;
    }
    return left;
  };
  return climbFrom(0);
}
