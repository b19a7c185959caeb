/** The editor: CodeMirror over the worker's language features. */
import { acceptCompletion, autocompletion, type CompletionContext, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, indentUnit, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { lintGutter, type Diagnostic as Mark, setDiagnostics } from '@codemirror/lint';
import { EditorState } from '@codemirror/state';
import { drawSelection, EditorView, highlightActiveLine, hoverTooltip, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import type { Diagnostic } from '../../grammar/diagnostics.ts';
import { markdown } from './markdown.ts';
import type { Completions, Hover, Mistake, Words } from './protocol.ts';

export interface EditorOptions {
  readonly parent: HTMLElement;
  readonly text: string;
  readonly words: Words;
  /** The file's name in spans; marks of other files are not shown here. */
  readonly file: string;
  onChange(text: string): void;
  onCompile(): void;
  hover(text: string, at: number): Promise<Hover | undefined>;
  complete(text: string, at: number): Promise<Completions>;
}

export interface Editor {
  text(): string;
  replace(text: string): void;
  show(diagnostics: readonly (Diagnostic | Mistake)[]): void;
  /** Puts the cursor at the start of a line, from 1. */
  reveal(line: number): void;
  destroy(): void;
}

const connectives = /^(on|of|as|at|to|in|each|by|or|and|not|version)$/;

const language = (words: Words) => {
  const [verbs, names] = [new Set(words.verbs), new Set(words.names)];
  return StreamLanguage.define({
    name: 'qrecipe',
    languageData: { commentTokens: { line: '#' }, closeBrackets: { brackets: ['(', '[', '{', '"'] } },
    token(s) {
      if (s.eatSpace()) return null;
      if (s.match(/^#.*/)) return 'comment';
      if (s.match(/^"(?:\\.|[^"\\])*"?/)) return 'string';
      if (s.match(/^\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?:%|[A-Za-z]+)?/)) return 'number';
      if (s.match(/^[A-Za-z_]\w*/)) {
        const word = s.current();
        if (s.match(/^\s*:(?!:)/, false)) return 'propertyName';
        if (verbs.has(word)) return 'keyword';
        if (connectives.test(word)) return 'operatorKeyword';
        return names.has(word) ? 'typeName' : 'variableName';
      }
      if (s.match(/^(<->|->|[<>=]=|\+-|\.\.|[-+*/<>=])/)) return 'operator';
      s.next();
      return null;
    },
  });
};

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--pg-keyword)', fontWeight: '600' },
  { tag: tags.operatorKeyword, color: 'var(--pg-keyword)' },
  { tag: tags.typeName, color: 'var(--pg-name)' },
  { tag: tags.string, color: 'var(--pg-string)' },
  { tag: tags.number, color: 'var(--pg-number)' },
  { tag: tags.comment, color: 'var(--pg-comment)', fontStyle: 'italic' },
  { tag: tags.propertyName, color: 'var(--pg-key)' },
]);

function markOf(d: Diagnostic | Mistake, length: number): Mark {
  const from = Math.min(d.span!.start, length);
  const fixes = 'fixes' in d ? d.fixes : [];
  return {
    from,
    to: Math.min(Math.max(d.span!.end, from + 1), length),
    severity: d.severity,
    source: d.code,
    message: d.hint ? `${d.message}\n${d.hint}` : d.message,
    actions: fixes.map((f) => ({
      name: f.title.replaceAll('`', ''),
      apply: (view: EditorView) => view.dispatch({ changes: f.edits.map((e) => ({ from: e.from, to: e.to, insert: e.text })) }),
    })),
  };
}

function described(text: string): HTMLElement {
  const dom = document.createElement('div');
  dom.className = 'pg-hover';
  dom.append(markdown(text));
  return dom;
}

export function openEditor(o: EditorOptions): Editor {
  const hover = hoverTooltip(async (view, at) => {
    const found = await o.hover(view.state.doc.toString(), at);
    if (!found) return null;
    return {
      pos: found.from,
      end: found.to,
      create: () => ({ dom: described(found.text) }),
    };
  });
  const source = async (context: CompletionContext) => {
    const word = context.matchBefore(/\w*/);
    if (!context.explicit && (!word || word.from === word.to)) return null;
    const { from, items } = await o.complete(context.state.doc.toString(), context.pos);
    if (items.length === 0) return null;
    const options = items.map((c, i) => ({
      label: c.label,
      detail: c.detail.replace(/:.*/s, ''),
      apply: c.insert,
      boost: -i / items.length,
      ...(c.doc ? { info: () => described(c.doc) } : {}),
    }));
    return { from, options, validFor: /^\w*$/ };
  };
  const compile = (): boolean => {
    o.onCompile();
    return true;
  };
  const view = new EditorView({
    parent: o.parent,
    state: EditorState.create({
      doc: o.text,
      extensions: [
        lineNumbers(),
        history(),
        drawSelection(),
        highlightActiveLine(),
        bracketMatching(),
        indentUnit.of('  '),
        language(o.words),
        syntaxHighlighting(colours),
        lintGutter(),
        hover,
        autocompletion({ override: [source] }),
        keymap.of([
          { key: 'Mod-Enter', run: compile },
          { key: 'Tab', run: acceptCompletion },
          ...completionKeymap,
          ...historyKeymap,
          ...defaultKeymap,
          indentWithTab,
        ]),
        EditorView.contentAttributes.of({ 'aria-label': 'Recipe', spellcheck: 'false', autocapitalize: 'off' }),
        EditorView.updateListener.of((u) => {
          if (u.docChanged) o.onChange(u.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    text: () => view.state.doc.toString(),
    replace: (text) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } }),
    show(diagnostics) {
      const own = diagnostics.filter((d) => d.span?.file === o.file);
      view.dispatch(
        setDiagnostics(
          view.state,
          own.map((d) => markOf(d, view.state.doc.length)),
        ),
      );
    },
    reveal(line) {
      const at = view.state.doc.line(Math.min(line, view.state.doc.lines)).from;
      view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: 'center' }) });
      view.focus();
    },
    destroy: () => view.destroy(),
  };
}
