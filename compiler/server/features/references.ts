/** References: every place that names the same thing, in all files of the folder. */
import type { Location } from 'vscode-languageserver-types';
import { type Named, occurrences, symbolOf, wordAt } from '../symbols.ts';
import { endOf } from '../token-kinds.ts';
import type { Word } from '../words.ts';
import type { Document, Workspace } from '../workspace.ts';

/** A symbol with every place that names it, its declaration among them. */
export function placesOf(ws: Workspace, s: Named): { readonly document: Document; readonly word: Word }[] {
  const files = new Map([s.document, ...ws.files()].map((f) => [f.path, f]));
  return [...files.values()].flatMap((document) => occurrences(ws, document, s).map((word) => ({ document, word })));
}

export function references(ws: Workspace, d: Document, offset: number, declaration: boolean): Location[] {
  const w = wordAt(d, offset);
  const s = w && symbolOf(ws, d, w);
  if (!s) return [];
  return placesOf(ws, s)
    .filter((p) => declaration || p.word.want.at !== 'declare')
    .map(({ document, word }) => ({ uri: document.uri, range: document.range(word.token.startOffset, endOf(word.token)) }));
}
