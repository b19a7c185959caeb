/** What a feature may look at: plain data and pure look-ups, handed in by the stdio server or by the playground. Nothing here reads a file. */
import type { Range } from 'vscode-languageserver-types';
import type { Span } from '../../grammar/diagnostics.ts';
import type { Ground } from '../plan/select.ts';
import { scan } from './scan.ts';
import type { Scan } from './words.ts';

/** A text with what was found out about it, each once. */
export class Document {
  private scanned: Scan | undefined;
  private starts: readonly number[] | undefined;
  /** @param path the name that spans and `use` carry; `uri` is the editor's */
  constructor(
    readonly path: string,
    readonly uri: string,
    readonly text: string,
  ) {}

  get scan(): Scan {
    this.scanned ??= scan(this.text);
    return this.scanned;
  }
  private get lines(): readonly number[] {
    this.starts ??= [0, ...[...this.text.matchAll(/\n/g)].map((m) => m.index + 1)];
    return this.starts;
  }
  /** Characters count in UTF-16 units, as in JavaScript. */
  offsetAt(p: { readonly line: number; readonly character: number }): number {
    const start = this.lines[Math.min(p.line, this.lines.length - 1)] ?? 0;
    const end = p.line >= this.lines.length ? this.text.length : (this.lines[p.line + 1] ?? this.text.length + 1) - 1;
    return Math.min(start + p.character, end);
  }
  positionAt(offset: number): { line: number; character: number } {
    const at = Math.max(0, Math.min(offset, this.text.length));
    let [lo, hi] = [0, this.lines.length - 1];
    while (lo < hi) {
      const mid = (lo + hi + 1) >> 1;
      if (this.lines[mid]! <= at) lo = mid;
      else hi = mid - 1;
    }
    return { line: lo, character: at - this.lines[lo]! };
  }
  range(start: number, end: number): Range {
    return { start: this.positionAt(start), end: this.positionAt(end) };
  }
  rangeOf(s: Span): Range {
    return this.range(s.start, s.end);
  }
}

/** A model that a recipe is bound to: its sites and its size. */
export interface Bound extends Ground {
  readonly name: string;
  /** Bytes of the model's files. */
  readonly bytes: number;
}

export interface Workspace {
  /** A file by the path that spans carry: as it is in the editor, else on disk. */
  document(path: string): Document | undefined;
  /** The file that a `use` names, seen from another; or why there is none. */
  use(spec: string, from: string): { readonly path: string; readonly text: string } | { readonly error: string; readonly hint?: string };
  /** Recipe files of the folder, that may speak of each other. */
  files(): readonly Document[];
  /** Packages that `use` may name, with their version. */
  packages(): readonly { readonly name: string; readonly version: string }[];
  /** The model that a file is bound to, where it has been read. */
  bound(document: Document): Bound | undefined;
}

/** `# model: path.onnx`, on a line of its own: the model that the recipes of a file are looked at with. */
export function modelComment(text: string): { readonly path: string; readonly start: number; readonly end: number } | undefined {
  const m = /^[ \t]*#[ \t]*model:[ \t]*(\S[^\r\n]*?)[ \t]*$/m.exec(text);
  if (!m?.[1]) return undefined;
  const start = m.index + m[0].lastIndexOf(m[1]);
  return { path: m[1], start, end: start + m[1].length };
}
