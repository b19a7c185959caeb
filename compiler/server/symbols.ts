/** What names mean: a declaration of this file or of one that it uses. */
import { textNode } from '../../grammar/literals.ts';
import { endOf } from './token-kinds.ts';
import type { Callee } from './want.ts';
import type { Declaration, Word } from './words.ts';
import type { Document, Workspace } from './workspace.ts';

export interface Named {
  readonly document: Document;
  readonly declaration: Declaration;
}
export const sameSymbol = (a: Named, b: Named): boolean =>
  a.document.path === b.document.path && a.declaration.token.startOffset === b.declaration.token.startOffset;

/** The text of a string's token. */
export const textOf = (image: string): string => textNode(image.endsWith('"') && image.length > 1 ? image : `${image}"`, nowhere).value;
const nowhere = { file: '', start: 0, end: 0, line: 1, column: 1 };

/** The word at an offset, or the one that ends there. */
export function wordAt(d: Document, offset: number): Word | undefined {
  const { words } = d.scan;
  let [lo, hi] = [0, words.length - 1];
  while (lo < hi) {
    const mid = (lo + hi + 1) >> 1;
    if (words[mid]!.token.startOffset <= offset) lo = mid;
    else hi = mid - 1;
  }
  const w = words[lo];
  return w && w.token.startOffset <= offset && offset <= endOf(w.token) ? w : undefined;
}

/** The files behind an alias of a document; of `*` there may be many. */
const behind = (ws: Workspace, d: Document, alias: string): Document[] =>
  d.scan.declarations.flatMap((x) => {
    if (x.kind !== 'use' || x.token.image !== alias || !x.source) return [];
    const found = ws.use(textOf(x.source.image), d.path);
    const file = 'error' in found ? undefined : ws.document(found.path);
    return file ? [file] : [];
  });
/** The file behind an alias of a document. */
export const usedFile = (ws: Workspace, d: Document, alias: string): Document | undefined => behind(ws, d, alias)[0];

/** A file and those that it uses as `*`: their names are its own. */
export function surface(ws: Workspace, d: Document, seen: Document[] = []): Document[] {
  if (seen.some((s) => s.path === d.path)) return seen;
  seen.push(d);
  for (const file of behind(ws, d, '*')) surface(ws, file, seen);
  return seen;
}

function fileLevel(ws: Workspace, d: Document, name: string, ...kinds: Declaration['kind'][]): Named | undefined {
  const fits = (document: Document) => (x: Declaration) =>
    (x.kind === 'recipe' || x.recipe === undefined) &&
    x.token.image === name &&
    kinds.includes(x.kind) &&
    (x.kind !== 'use' || document === d);
  for (const document of surface(ws, d)) {
    const declaration = document.scan.declarations.find(fits(document));
    if (declaration) return { document, declaration };
  }
  return undefined;
}

/** The recipe that a call applies. */
export function recipeOf(ws: Workspace, d: Document, callee: Extract<Callee, { kind: 'recipe' }>): Named | undefined {
  const file = callee.of === undefined ? d : usedFile(ws, d, callee.of);
  return file && fileLevel(ws, file, callee.name, 'recipe');
}
/** The parameters of a recipe, in order. */
export function paramsOf(recipe: Named): readonly Named[] {
  const { document, declaration } = recipe;
  return document.scan.declarations
    .filter((x) => x.kind === 'param' && x.recipe === declaration.recipe)
    .map((x) => ({ document, declaration: x }));
}
/** A parameter as it is written: `group = 128 in [32, 128]`. */
export const written = ({ document, declaration: x }: Named): string => document.text.slice(x.token.startOffset, x.to).trim();
export const defaultOf = (param: Named): string => /^\w+\s*=\s*([\s\S]*?)(?:\s+in\s[\s\S]*)?$/.exec(written(param))?.[1] ?? '';

/** What a word names; undefined where it is a name of the language, or none. */
export function symbolOf(ws: Workspace, d: Document, w: Word): Named | undefined {
  const name = w.token.image;
  if (w.role === 'key') {
    const recipe = w.callee?.kind === 'recipe' ? recipeOf(ws, d, w.callee) : undefined;
    return recipe && paramsOf(recipe).find((p) => p.declaration.token.image === name);
  }
  if (w.role === 'member') {
    const file = w.want.at === 'member' ? usedFile(ws, d, w.want.of) : undefined;
    return file && fileLevel(ws, file, name, 'recipe', 'let', 'variable');
  }
  if (w.role !== 'name') return undefined;
  if (w.want.at === 'declare') {
    const declaration = d.scan.declarations.find((x) => x.token.startOffset === w.token.startOffset);
    return declaration && { document: d, declaration };
  }
  if (w.want.at === 'name') return undefined;
  if (w.want.at === 'recipe') return fileLevel(ws, d, name, 'recipe', 'use');
  const own = d.scan.declarations.find(
    (x) => x.recipe === w.recipe && w.recipe !== undefined && x.kind !== 'recipe' && x.token.image === name,
  );
  return own ? { document: d, declaration: own } : fileLevel(ws, d, name, 'let', 'variable', 'use');
}

/** Every place of a document that names a symbol. */
export const occurrences = (ws: Workspace, d: Document, s: Named): Word[] =>
  d.scan.words.filter((w) => {
    if (w.token.image !== s.declaration.token.image) return false;
    const found = symbolOf(ws, d, w);
    return found !== undefined && sameSymbol(found, s);
  });
