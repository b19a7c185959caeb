/** Pages of recipes: the standard library, recipe by recipe, and the complete ones with what was measured. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { RecipeDecl } from '../../grammar/ast.ts';
import { parse } from '../../grammar/parser.ts';
import { bundled } from './packages.ts';
import type { SitePage } from './pages.ts';

const folders = (): string[] =>
  readdirSync('recipes')
    .filter((f) => existsSync(`recipes/${f}/README.md`))
    .sort();

const fence = (text: string): string => `\`\`\`qrecipe\n${text.trim()}\n\`\`\``;
const docsOf = (r: RecipeDecl): string[] => r.body.flatMap((s) => (s.kind === 'doc' ? [s.text.value] : []));

/** README of the package, then every recipe with its documentation and its text. */
export function stdPage(): SitePage {
  const std = bundled('@qrecipe/std');
  const recipes = Object.entries(std.files).flatMap(([file, text]) =>
    parse(text, file).ast.items.flatMap((item) => {
      if (item.kind !== 'recipe') return [];
      return [`## ${item.name.name}`, docsOf(item).join(' '), fence(text.slice(item.span.start, item.span.end))];
    }),
  );
  const readme = readFileSync('stdlib/README.md', 'utf8').trim();
  const head = `Version ${std.version}. ${[...Object.keys(std.files)].length === 1 ? 'One file' : `${Object.keys(std.files).length} files`}; the text of every recipe is below.`;
  return { path: 'recipes/std.md', source: 'stdlib/README.md', text: `${[readme, head, ...recipes].join('\n\n')}\n` };
}

export const modelRecipes = (): SitePage[] =>
  folders().map((f) => {
    const source = `recipes/${f}/README.md`;
    const files = readdirSync(`recipes/${f}`).filter((n) => n.endsWith('.qrecipe'));
    const texts = files.map((n) => `**${n}**\n\n${fence(readFileSync(`recipes/${f}/${n}`, 'utf8'))}`);
    return { path: `recipes/${f}.md`, source, text: `${[readFileSync(source, 'utf8').trim(), '## The recipe', ...texts].join('\n\n')}\n` };
  });

export function recipesIndex(): SitePage {
  const rows = folders().map((f) => {
    const [, , about = ''] = readFileSync(`recipes/${f}/README.md`, 'utf8').split('\n');
    return `| [${f}](${f}/README.md) | ${about} |`;
  });
  const text = [
    '# Recipes',
    'Complete recipes for real models, each with its contract and what was measured. What they share is in [@qrecipe/std](../stdlib/README.md).',
    ['| recipe | model |', '|---|---|', ...rows].join('\n'),
  ].join('\n\n');
  return { path: 'recipes/index.md', source: 'recipes/README.md', text: `${text}\n` };
}
