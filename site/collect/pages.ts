/** Every page of the site, from what lies in the repository: docs/, recipes/, stdlib/, the schemas, the command line's own help. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, posix } from 'node:path';
import { cliPage } from './cli.ts';
import { namesPage } from './names.ts';
import { modelRecipes, recipesIndex, stdPage } from './recipes.ts';

export interface SitePage {
  /** Below the site's root: `reference/laws.md`. */
  readonly path: string;
  /** The file that it was made from, in the repository; links are relative to it. */
  readonly source: string;
  readonly text: string;
}

/** Markdown files below a folder, sorted. */
export const markdown = (folder: string): string[] =>
  readdirSync(folder, { recursive: true })
    .map((f) => posix.join(folder, String(f).replaceAll('\\', '/')))
    .filter((f) => f.endsWith('.md'))
    .sort();

const place = (file: string): string =>
  file
    .replace(/^docs\//, '')
    .replace(/README\.md$/, 'index.md')
    .toLowerCase();

/** All pages, their links pointing into the site. */
export async function sitePages(): Promise<SitePage[]> {
  const read = (source: string, path: string): SitePage => ({ path, source, text: readFileSync(source, 'utf8') });
  const pages = [
    ...markdown('docs').map((f) => read(f, place(f))),
    read('CONTRIBUTING.md', 'contributing.md'),
    namesPage(),
    await cliPage(),
    stdPage(),
    recipesIndex(),
    ...modelRecipes(),
  ];
  const byPath = new Map(pages.map((p) => [p.path, p]));
  for (const p of pages) if (byPath.get(p.path) !== p) throw new Error(`two pages are ${p.path}`);
  const known = new Map(pages.map((p) => [p.source, p.path]));
  const content = markdown('site/content').map((f) => read(f, posix.relative('site/content', f)));
  return [...pages.map((p) => ({ ...p, text: escaped(linked(p, known)) })), ...content];
}

/** The address of a page: `reference/index.md` → `/reference/`. */
export const address = (path: string): string => `/${path.replace(/(^|\/)index\.md$/, '$1').replace(/\.md$/, '')}`;

/** Runs `change` on the prose of a page: outside of fences and of code in a line. */
function prose(text: string, change: (s: string) => string): string {
  let fenced = false;
  return text
    .split('\n')
    .map((line) => {
      const fence = /^\s*(```|~~~)/.test(line);
      if (fence) fenced = !fenced;
      if (fence || fenced) return line;
      return line
        .split(/(`+[^`]*`+)/)
        .map((part, i) => (i % 2 ? part : change(part)))
        .join('');
    })
    .join('\n');
}

/** Links to files of the repository become links to their pages; what has no page is named, not linked. */
function linked(page: SitePage, known: ReadonlyMap<string, string>): string {
  const one = (label: string, target: string): string => {
    if (/^(https?:|mailto:|#|\/)/.test(target)) return `[${label}](${target})`;
    const [file = '', anchor] = target.split('#');
    const at = posix.normalize(posix.join(dirname(page.source), file)).replace(/\/$/, '');
    const found = known.get(at) ?? known.get(`${at}/README.md`);
    return found === undefined ? label : `[${label}](${address(found)}${anchor === undefined ? '' : `#${anchor}`})`;
  };
  // Labels may hold code, so links are found in whole lines; fences are left alone.
  let fenced = false;
  return page.text
    .split('\n')
    .map((line) => {
      if (/^\s*(```|~~~)/.test(line)) fenced = !fenced;
      return fenced ? line : line.replace(/(?<!!)\[([^\]]+)\]\(([^)\s]+)\)/g, (_, label: string, target: string) => one(label, target));
    })
    .join('\n');
}

/** Repository Markdown has no HTML and no templates: what looks like them is text. */
const escaped = (text: string): string =>
  prose(text.replace(/<!--[\s\S]*?-->\n?/g, ''), (s) => s.replaceAll('<', '&lt;').replaceAll('{{', '{\u2060{'));

export const folderOf = (path: string): string => (path.includes('/') ? path.slice(0, path.indexOf('/')) : '');
export const titleOf = (text: string): string => /^# (.*)$/m.exec(text)?.[1]?.replaceAll('`', '') ?? '';
