/** Semantic tokens: what each name is, as its place and its declaration say. Words and numbers are coloured by the TextMate grammar. */
import type { SemanticTokens } from 'vscode-languageserver-types';
import { type Builtin, builtinOf } from '../builtin.ts';
import { type Named, symbolOf } from '../symbols.ts';
import type { Word } from '../words.ts';
import type { Document, Workspace } from '../workspace.ts';

export const legend = {
  tokenTypes: ['namespace', 'function', 'parameter', 'variable', 'type', 'class', 'method', 'property', 'enumMember'],
  tokenModifiers: ['declaration', 'defaultLibrary', 'deprecated'],
};
type Type = 'namespace' | 'function' | 'parameter' | 'variable' | 'type' | 'class' | 'method' | 'property' | 'enumMember';
type Modifier = 'declaration' | 'defaultLibrary' | 'deprecated';
export interface Painted {
  readonly word: Word;
  readonly type: Type;
  readonly modifiers: readonly Modifier[];
}

const declared: Readonly<Record<Named['declaration']['kind'], Type>> = {
  use: 'namespace',
  recipe: 'function',
  param: 'parameter',
  let: 'variable',
  variable: 'variable',
  schedule: 'variable',
};
function builtinType(b: Builtin): Type {
  if (b.kind === 'entry') return b.entry.kind === 'format' || b.entry.kind === 'scheme' ? 'type' : 'method';
  if (b.kind === 'role') return 'class';
  if (b.kind === 'selector') return 'method';
  return b.kind === 'choice' ? 'enumMember' : 'property';
}

/** Every name with what it is; names that mean nothing are left out. Planned names are `deprecated`, which editors strike through. */
export function painted(ws: Workspace, d: Document): Painted[] {
  return d.scan.words.flatMap((word): Painted[] => {
    if (!['name', 'key', 'member'].includes(word.role)) return [];
    const s = symbolOf(ws, d, word);
    if (s)
      return [
        {
          word,
          type: word.role === 'key' ? 'parameter' : declared[s.declaration.kind],
          modifiers: word.want.at === 'declare' ? ['declaration'] : [],
        },
      ];
    const b = builtinOf(word);
    if (!b) return [];
    const planned = (b.kind === 'entry' && b.entry.planned) || (b.kind === 'role' && b.role.planned);
    return [{ word, type: builtinType(b), modifiers: planned ? ['defaultLibrary', 'deprecated'] : ['defaultLibrary'] }];
  });
}

/** In the protocol's form: five numbers a token, places relative to the token before. */
export function semanticTokens(ws: Workspace, d: Document): SemanticTokens {
  const data: number[] = [];
  let [line, column] = [0, 0];
  for (const { word, type, modifiers } of painted(ws, d)) {
    const at = d.positionAt(word.token.startOffset);
    const bits = modifiers.reduce((n, m) => n | (1 << legend.tokenModifiers.indexOf(m)), 0);
    data.push(
      at.line - line,
      at.line === line ? at.character - column : at.character,
      word.token.image.length,
      legend.tokenTypes.indexOf(type),
      bits,
    );
    line = at.line;
    column = at.character;
  }
  return { data };
}
