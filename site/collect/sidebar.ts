/** What stands beside the pages: groups in a fixed order; pages that nobody placed come last in theirs. */
import { address, folderOf, type SitePage, titleOf } from './pages.ts';

export interface Group {
  readonly text: string;
  readonly collapsed?: boolean;
  readonly items: readonly { readonly text: string; readonly link: string }[];
}

const groups: readonly {
  readonly text: string;
  readonly folder: string;
  readonly first: readonly string[];
  readonly collapsed?: boolean;
}[] = [
  { text: 'Guide', folder: 'guide', first: ['guide/tutorial.md', 'guide/cookbook.md', 'guide/language.md', 'guide/int8-slower.md'] },
  { text: 'Recipes', folder: 'recipes', first: ['recipes/index.md', 'recipes/std.md'], collapsed: true },
  { text: 'Reference', folder: 'reference', first: ['reference/index.md', 'reference/names.md', 'reference/cli.md'] },
  { text: 'Measured', folder: 'measured', first: [], collapsed: true },
  { text: 'More', folder: '', first: ['layouts.md'] },
];

/** Pages that the sidebar does not list: they are reached from others. */
const hidden = (p: SitePage): boolean => /^(index|playground)\.md$|^reference\/codes\/(?!index)/.test(p.path);

export function sidebar(pages: readonly SitePage[]): Group[] {
  const named = new Set(groups.map((g) => g.folder));
  const group = (p: SitePage): string => (named.has(folderOf(p.path)) ? folderOf(p.path) : '');
  return groups.map(({ text, folder, first, collapsed }) => {
    const own = pages.filter((p) => group(p) === folder && !hidden(p));
    const rank = (p: SitePage): number => (first.includes(p.path) ? first.indexOf(p.path) : first.length);
    const sorted = [...own].sort((a, b) => rank(a) - rank(b) || titleOf(a.text).localeCompare(titleOf(b.text), 'en'));
    return {
      text,
      ...(collapsed === undefined ? {} : { collapsed }),
      items: sorted.map((p) => ({ text: titleOf(p.text), link: address(p.path) })),
    };
  });
}
