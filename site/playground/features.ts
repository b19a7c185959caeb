/** What the editor asks of the language: its words, what a word means, what may stand somewhere. */
import { type Entry, find, kinds, namesOf, roles, selectors } from '../../compiler/catalog/index.ts';
import { reference } from '../../compiler/check/docs.ts';
import { QcError } from '../../grammar/diagnostics.ts';
import { verbs } from '../../grammar/tokens.ts';

export interface Words {
  readonly verbs: readonly string[];
  /** Names of the catalogue. */
  readonly names: readonly string[];
}
export interface Completion {
  readonly label: string;
  readonly kind: string;
  readonly doc: string;
}
export interface Hover {
  readonly from: number;
  readonly to: number;
  /** Markdown. */
  readonly text: string;
}

const entries = (): Entry[] => kinds().flatMap((k) => (k === 'role' ? [] : namesOf(k)));

export const words = (): Words => ({
  verbs,
  names: [...new Set([...entries().map((e) => e.name), ...roles.keys(), ...selectors.map((s) => s.name)])],
});

/** The reference of the word at an offset; undefined where there is none. */
export function hover(text: string, at: number): Hover | undefined {
  const from = at - (/\w*$/.exec(text.slice(0, at))?.[0].length ?? 0);
  const to = at + (/^\w*/.exec(text.slice(at))?.[0].length ?? 0);
  const word = text.slice(from, to);
  if (!/^[A-Za-z_]/.test(word)) return undefined;
  try {
    return { from, to, text: reference(word).text };
  } catch (e) {
    if (e instanceof QcError) return undefined;
    throw e;
  }
}

const kindsAfter: Readonly<Record<string, readonly string[]>> = {
  as: ['scheme', 'format'],
  transform: ['transform'],
  solve: ['solver'],
  target: ['target'],
  calibrate: ['source'],
  require: ['metric', 'function'],
};

/** Names that may stand at an offset: verbs where a statement begins, else names of the kinds that fit. */
export function complete(text: string, at: number): Completion[] {
  const before = text.slice(0, at).replace(/\w*$/, '');
  if (/(^|[\n{}])\s*$/.test(before) && !/\{[^\n}]*$/.test(before.slice(before.lastIndexOf('\n') + 1)))
    return verbs.map((v) => ({ label: v, kind: 'statement', doc: '' }));
  const last = /(\w+)\s*$/.exec(before)?.[1] ?? '';
  const key = /\b(scale|activation_scale|method|objective|matrix)\s*:\s*$/.exec(before)?.[1];
  const byKey = { scale: 'law', activation_scale: 'law', method: 'search', objective: 'objective', matrix: 'matrix' }[key ?? ''];
  const wanted = byKey ? [byKey] : kindsAfter[last];
  const of = (e: { name: string; doc: string; kind: string }): Completion => ({ label: e.name, kind: e.kind, doc: e.doc });
  if (wanted)
    return entries().flatMap((e) =>
      wanted.includes(e.kind) && !e.planned ? [of({ ...e, doc: find(e.kind, e.spelling?.of ?? e.name)?.doc ?? e.doc })] : [],
    );
  return [
    ...[...roles.values()].filter((r) => !r.planned).map((r) => of({ ...r, kind: 'role' })),
    ...selectors.map((s) => of({ ...s, kind: 'selection' })),
  ];
}
