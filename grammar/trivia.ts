/** Gives every comment and empty line to the node beside it, so that the printer can put it back. */
import type { IToken } from 'chevrotain';
import { type Comment, children, type File, type Node, type Trivia } from './ast.ts';
import type { Span } from './diagnostics.ts';

interface Growing {
  blank: boolean;
  lead: Comment[];
  trail: Comment[];
  inner: Comment[];
}

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
  block([...file.uses, ...file.items]);

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
    for (;;) {
      const nodes = below(around);
      const i = firstEndingAfter(nodes, span.start);
      const inside: Node | undefined = nodes[i];
      if (inside !== undefined && inside.span.start <= span.start) {
        around = inside;
        continue;
      }
      const before = nodes[i - 1];
      const sameLine = before !== undefined && !text.slice(before.span.end, span.start).includes('\n');
      if (!comment.own && sameLine) of(before).trail.push(comment);
      else if (inside !== undefined) of(inside).lead.push(comment);
      else if (before !== undefined) of(before).trail.push(comment);
      else of(around).inner.push(comment);
      break;
    }
  }
  return all;
}

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
