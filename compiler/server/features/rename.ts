/** Rename: locals, parameters (with the keys that give them), recipes and aliases, in all files of the folder. */
import type { Range, TextEdit, WorkspaceEdit } from 'vscode-languageserver-types';
import { reserved } from '../../../grammar/tokens.ts';
import { type Named, symbolOf, wordAt } from '../symbols.ts';
import { endOf } from '../token-kinds.ts';
import type { Word } from '../words.ts';
import type { Document, Workspace } from '../workspace.ts';
import { placesOf } from './references.ts';

export type Refused = { readonly refused: string };

/** What would be renamed, or why nothing can be. */
export function prepareRename(
  ws: Workspace,
  d: Document,
  offset: number,
): { readonly range: Range; readonly placeholder: string } | Refused {
  const found = symbolAt(ws, d, offset);
  if ('refused' in found) return found;
  const { token } = found.word;
  return { range: d.range(token.startOffset, endOf(token)), placeholder: token.image };
}

function symbolAt(ws: Workspace, d: Document, offset: number): { readonly word: Word; readonly symbol: Named } | Refused {
  const word = wordAt(d, offset);
  const symbol = word && symbolOf(ws, d, word);
  if (!word || !symbol || word.token.image === '*') return { refused: 'Only names that a recipe declares can be renamed.' };
  if (!ws.files().some((f) => f.path === symbol.document.path) && symbol.document.path !== d.path)
    return { refused: `\`${word.token.image}\` belongs to ${symbol.document.path}.` };
  return { word, symbol };
}

export function rename(ws: Workspace, d: Document, offset: number, to: string): WorkspaceEdit | Refused {
  const found = symbolAt(ws, d, offset);
  if ('refused' in found) return found;
  if (!/^[A-Za-z_]\w*$/.test(to)) return { refused: `\`${to}\` is not a name: letters, digits and _, not a digit first.` };
  if (reserved.has(to)) return { refused: `\`${to}\` is a word of the language.` };
  const places = placesOf(ws, found.symbol);
  const taken = clash(found.symbol, to);
  if (taken) return { refused: `\`${to}\` is declared already, in line ${taken}.` };
  const changes: Record<string, TextEdit[]> = {};
  for (const { document, word } of places)
    changes[document.uri] = [
      ...(changes[document.uri] ?? []),
      { range: document.range(word.token.startOffset, endOf(word.token)), newText: to },
    ];
  return { changes };
}

/** A declaration of the same name where both would be seen. */
function clash({ document, declaration }: Named, to: string): number | undefined {
  const scope = (x: Named['declaration']): number | undefined => (x.kind === 'recipe' ? undefined : x.recipe);
  const other = document.scan.declarations.find(
    (x) => x.token.image === to && (scope(x) === scope(declaration) || scope(x) === undefined || scope(declaration) === undefined),
  );
  return other && document.positionAt(other.token.startOffset).line + 1;
}
