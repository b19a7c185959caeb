/** What the editor asks of the language: the language server's features over the packages of the page and the open model. */
import type { CodeAction, CompletionItem } from 'vscode-languageserver-types';
import { type BundledPackage, bundledResolver } from '../../compiler/browser/resolve.ts';
import { kinds, namesOf, roles, selectors } from '../../compiler/catalog/index.ts';
import { type Analysis, analyze, everything } from '../../compiler/server/analysis.ts';
import { actions } from '../../compiler/server/features/actions.ts';
import { completion } from '../../compiler/server/features/completion.ts';
import { hover } from '../../compiler/server/features/hover.ts';
import { type Bound, Document, type Workspace } from '../../compiler/server/workspace.ts';
import type { Diagnostic } from '../../grammar/diagnostics.ts';
import { verbs } from '../../grammar/tokens.ts';

export interface Words {
  readonly verbs: readonly string[];
  /** Names of the catalogue. */
  readonly names: readonly string[];
}
export interface Completion {
  readonly label: string;
  readonly detail: string;
  /** Markdown. */
  readonly doc: string;
  readonly insert: string;
}
/** What may stand at an offset, and the text that it replaces. */
export interface Completions {
  readonly from: number;
  readonly items: readonly Completion[];
}
export interface Hover {
  readonly from: number;
  readonly to: number;
  /** Markdown. */
  readonly text: string;
}
export interface Fix {
  readonly title: string;
  readonly edits: readonly { readonly from: number; readonly to: number; readonly text: string }[];
}
/** A mistake with what may be done about it. */
export type Mistake = Diagnostic & { readonly fixes: readonly Fix[] };

export const words = (): Words => ({
  verbs,
  names: [...new Set([...kinds().flatMap((k) => namesOf(k).map((e) => e.name)), ...roles.keys(), ...selectors.map((s) => s.name)])],
});

const markdown = (x: unknown): string => (typeof x === 'string' ? x : ((x as { value?: string } | undefined)?.value ?? ''));

export class Language {
  readonly #path: string;
  readonly #workspace: Workspace;
  #document: Document;
  #analysis: Analysis | undefined;
  #bound: Bound | undefined;

  constructor(path: string, packages: readonly BundledPackage[]) {
    this.#path = path;
    this.#document = new Document(path, path, '');
    const texts = new Map(
      packages.flatMap((p) => Object.entries(p.files).map(([f, text]) => [`${p.name}@${p.version}/${f}`, text] as const)),
    );
    const files = new Map<string, Document>([...texts].map(([at, text]) => [at, new Document(at, `package:${at}`, text)]));
    this.#workspace = {
      document: (at) => (at === path ? this.#document : files.get(at)),
      use: bundledResolver(packages),
      files: () => [this.#document],
      packages: () => packages,
      bound: (d) => (d === this.#document ? this.#bound : undefined),
    };
  }

  /** The model that selections are looked at with; undefined: none. */
  bind(model: Bound | undefined): void {
    this.#bound = model;
    this.#analysis = undefined;
  }

  /** Every mistake of the text and, with a model, of its plan. */
  check(text: string): Mistake[] {
    const d = this.#open(text);
    const a = this.#analyzed();
    return everything(a).map((x) => {
      const of = x.span && x.span.file === this.#path ? actions(this.#workspace, d, a, d.rangeOf(x.span)) : [];
      return { ...x, fixes: of.filter((f) => f.diagnostics?.some((y) => y.code === x.code)).map((f) => this.#fix(d, f)) };
    });
  }

  hover(text: string, at: number): Hover | undefined {
    const d = this.#open(text);
    const found = hover(this.#workspace, d, at, () => this.#analyzed());
    if (!found?.range) return undefined;
    return { from: d.offsetAt(found.range.start), to: d.offsetAt(found.range.end), text: markdown(found.contents) };
  }

  complete(text: string, at: number): Completions {
    const d = this.#open(text);
    const items = completion(this.#workspace, d, at);
    const edit = (i: CompletionItem) => (i.textEdit && 'range' in i.textEdit ? i.textEdit : undefined);
    const first = items[0] && edit(items[0]);
    return {
      from: first ? d.offsetAt(first.range.start) : at,
      items: items.map((i) => ({
        label: i.label,
        detail: i.detail ?? '',
        doc: markdown(i.documentation),
        insert: edit(i)?.newText ?? i.label,
      })),
    };
  }

  #open(text: string): Document {
    if (this.#document.text !== text) {
      this.#document = new Document(this.#path, this.#path, text);
      this.#analysis = undefined;
    }
    return this.#document;
  }

  #analyzed(): Analysis {
    this.#analysis ??= analyze(this.#workspace, this.#document);
    return this.#analysis;
  }

  #fix(d: Document, action: CodeAction): Fix {
    const edits = action.edit?.changes?.[this.#path] ?? [];
    return {
      title: action.title,
      edits: edits.map((e) => ({ from: d.offsetAt(e.range.start), to: d.offsetAt(e.range.end), text: e.newText })),
    };
  }
}
