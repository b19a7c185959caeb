/** Every name of the language in one table: what it is, its formula, where it comes from. */
import { type Entry, find, type Kind, kinds, namesOf, roles, selectors } from '../../compiler/catalog/index.ts';
import { cell, fileOf } from '../../compiler/check/entry-page.ts';
import type { SitePage } from './pages.ts';
import { slug } from './slug.ts';

interface Row {
  readonly name: string;
  readonly kind: string;
  readonly page: string;
  readonly doc: string;
  readonly formula?: string | undefined;
  readonly cite?: string | undefined;
  readonly planned?: boolean | undefined;
}

/** The entry that a spelling stands for: int4 is int. */
const behind = (e: Entry): Entry => (e.spelling ? (find(e.kind, e.spelling.of) ?? e) : e);

function rows(): Row[] {
  const entries = kinds()
    .filter((k): k is Kind => k !== 'role')
    .flatMap((k) => namesOf(k))
    .map((e): Row => {
      const { name, doc, formula, cite } = behind(e);
      return { name: e.name, kind: e.kind, page: `${fileOf(e.kind)}#${slug(name)}`, doc, formula, cite, planned: e.planned };
    });
  const found = [...roles.values()].map(
    (r): Row => ({ name: r.name, kind: 'role', page: `roles.md#${slug(r.name)}`, doc: r.doc, planned: r.planned }),
  );
  const selects = selectors.map((s): Row => ({ name: s.name, kind: 'selection', page: `selections.md#${slug(s.name)}`, doc: s.doc }));
  return [...entries, ...found, ...selects].sort((a, b) => a.name.localeCompare(b.name, 'en') || a.kind.localeCompare(b.kind, 'en'));
}

/** The first sentence. */
const short = (doc: string): string => /^.*?[.!?](?=\s|$)/s.exec(doc)?.[0] ?? doc;

export function namesPage(): SitePage {
  const lines = rows().map((r) => {
    const formula = r.formula ? ` \`${cell(r.formula)}\`` : '';
    return `| [\`${r.name}\`](${r.page}) | ${r.kind}${r.planned ? ', planned' : ''} | ${cell(short(r.doc))}${formula} | ${cell(r.cite ?? '')} |`;
  });
  const text = [
    '---\naside: false\n---',
    '# Every name',
    'Every name of the language with its formula and its source. A name leads to its parameters. *Planned* names are checked and not built yet.',
    ['| name | kind | what | source |', '|---|---|---|---|', ...lines].join('\n'),
  ].join('\n\n');
  return { path: 'reference/names.md', source: 'docs/reference/names.md', text: `${text}\n` };
}
