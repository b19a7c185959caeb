/** Definition, across files and packages: of names, and of what `use` names. */
import type { Location } from 'vscode-languageserver-types';
import { symbolOf, textOf, wordAt } from '../symbols.ts';
import { endOf } from '../token-kinds.ts';
import type { Document, Workspace } from '../workspace.ts';

/** Where the name at an offset was declared; for the text of a `use`, the file. */
export function definition(ws: Workspace, d: Document, offset: number): Location | undefined {
  const w = wordAt(d, offset);
  if (!w) return undefined;
  if (w.role === 'text') {
    if (!d.scan.declarations.some((x) => x.source === w.token)) return undefined;
    const found = ws.use(textOf(w.token.image), d.path);
    const file = 'error' in found ? undefined : ws.document(found.path);
    return file && { uri: file.uri, range: file.range(0, 0) };
  }
  const s = symbolOf(ws, d, w);
  return s && { uri: s.document.uri, range: s.document.range(s.declaration.token.startOffset, endOf(s.declaration.token)) };
}
