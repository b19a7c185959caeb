/** Gives every comment and empty line to the node beside it, so that the printer can put it back. */
import type { IToken } from 'chevrotain';
import { type Comment, children, type File, type Node, type RecipeDecl, type Trivia } from './ast.ts';
import type { Span } from './diagnostics.ts';

interface Growing {
  blank: boolean;
  lead: Comment[];
  trail: Comment[];
  inner: Comment[];
}

/** Nodes whose children stand between brackets. */
const containers: ReadonlySet<string> = new Set(['file', 'recipe', 'record', 'list', 'call']);

export function attachTrivia(file: File, comments: readonly IToken[], text: string, at: (t: IToken) => Span): Map<Node, Trivia> {
  const all = new Map<Node, Growing>();
  const of = (n: Node): Growing => {
    let t = all.get(n);
    if (t === undefined) {
      t = { blank: false, lead: [], trail: [], inner: [] };
      all.set(n, t);
    }
    return t;
  };
  const spaces = /\n[ \t\r]*\n/;
  /** Whitespace between the end of the line's content before and here. */
  const gap = (start: number): string => {
    let from = start;
    while (from > 0 && ' \t\r\n\uFEFF'.includes(text[from - 1]!)) from--;
    return text.slice(from, start);
  };
  const kids = new Map<Node, readonly Node[]>();
  const below = (n: Node): readonly Node[] => {
    let k = kids.get(n);
    if (k === undefined) {
      k = children(n);
      kids.set(n, k);
    }
    return k;
  };
  const block = (nodes: readonly Node[]): void => {
    for (const n of nodes) {
      if (spaces.test(gap(n.span.start))) of(n).blank = true;
      if (n.kind === 'recipe') block(n.body);
    }
  };
  block(children(file));

  for (const token of comments) {
    const span = at(token);
    const space = gap(span.start);
    const comment = {
      text: token.image.trimEnd(),
      own: space.includes('\n') || span.start === space.length,
      blank: spaces.test(space),
      span,
    };
    let around: Node = file;
    const path: Node[] = [];
    for (;;) {
      const nodes = below(around);
      const i = firstEndingAfter(nodes, span.start);
      const inside: Node | undefined = nodes[i];
      if (inside !== undefined && inside.span.start <= span.start) {
        path.push(around);
        around = inside;
        continue;
      }
      const before = nodes[i - 1];
      const between = before === undefined ? '' : text.slice(before.span.end, span.start);
      const sameLine = before !== undefined && !between.includes('\n');
      if (around.kind === 'recipe' && before !== undefined && heads(around, before) && !heads(around, inside)) {
        // Between the head and the first statement: before or behind the brace.
        if (!between.includes('{')) of(before).trail.push(comment);
        else if (inside !== undefined && comment.own) of(inside).lead.push(comment);
        else of(around).inner.push(comment);
      } else if (around.kind === 'call' && before === around.callee && between.includes('(')) {
        if (inside) of(inside).lead.push(comment);
        else of(around).inner.push(comment);
      } else if (!comment.own && sameLine) of(before).trail.push(comment);
      else if (inside !== undefined) of(inside).lead.push(comment);
      else if (containers.has(around.kind)) {
        if (before !== undefined) of(before).trail.push(comment);
        else of(around).inner.push(comment);
      } else {
        // At the end of something: it belongs to the largest thing that ends here, or to what follows.
        let owner: Node = around;
        let up = path.pop();
        for (; up !== undefined && !containers.has(up.kind) && below(up).at(-1) === owner; up = path.pop()) owner = up;
        const next = up !== undefined && !containers.has(up.kind) && comment.own ? below(up)[below(up).indexOf(owner) + 1] : undefined;
        if (next) of(next).lead.push(comment);
        else of(owner).trail.push(comment);
      }
      break;
    }
  }
  return all;
}

/** Is it part of a recipe's head, before the brace? */
const heads = (r: RecipeDecl, n: Node | undefined): boolean =>
  n !== undefined && (r.body[0] === undefined || n.span.start < r.body[0].span.start);

/** Index of the first node whose end lies after `offset`; nodes are in source order. */
function firstEndingAfter(nodes: readonly Node[], offset: number): number {
  let lo = 0;
  let hi = nodes.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (nodes[mid]!.span.end > offset) hi = mid;
    else lo = mid + 1;
  }
  return lo;
}
