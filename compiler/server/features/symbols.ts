/** Document symbols: recipes with what they declare, and their statements by verb. */
import type { DocumentSymbol, SymbolKind } from 'vscode-languageserver-types';
import { endOf } from '../token-kinds.ts';
import type { Declaration } from '../words.ts';
import type { Document } from '../workspace.ts';

const kinds = { use: 2, recipe: 12, param: 13, let: 13, variable: 13, schedule: 5 } as const satisfies Record<
  Declaration['kind'],
  SymbolKind
>;
const event: SymbolKind = 24;

export function symbols(d: Document): DocumentSymbol[] {
  const { declarations, statements } = d.scan;
  const one = (x: Declaration, children?: DocumentSymbol[]): DocumentSymbol => ({
    name: x.token.image === '*' && x.source ? x.source.image : x.token.image,
    detail: x.kind === 'variable' ? 'searched' : x.kind,
    kind: kinds[x.kind],
    range: d.range(Math.min(x.from, x.token.startOffset), Math.max(x.to, endOf(x.token))),
    selectionRange: d.range(x.token.startOffset, endOf(x.token)),
    ...(children ? { children } : {}),
  });
  const inside = (recipe: number): DocumentSymbol[] => {
    const declared = declarations.filter((x) => x.recipe === recipe && x.kind !== 'recipe').map((x) => one(x));
    const others = statements
      .filter((s) => s.recipe === recipe && !['recipe', 'let', 'schedule', 'doc'].includes(s.verb))
      .map((s): DocumentSymbol => {
        const line = d.text.slice(s.token.startOffset, s.to).split('\n')[0] ?? s.verb;
        return {
          name: line.length > 60 ? `${line.slice(0, 59)}…` : line,
          kind: event,
          range: d.range(s.token.startOffset, s.to),
          selectionRange: d.range(s.token.startOffset, endOf(s.token)),
        };
      });
    return [...declared, ...others].sort(
      (a, b) => a.range.start.line - b.range.start.line || a.range.start.character - b.range.start.character,
    );
  };
  return declarations
    .filter((x) => x.kind === 'recipe' || x.recipe === undefined)
    .map((x) => one(x, x.kind === 'recipe' && x.recipe !== undefined ? inside(x.recipe) : undefined));
}
