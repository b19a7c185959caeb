/** The files that a server sees: open texts first, then the disk; through the compiler's own resolver, so that what it refuses is refused here. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Resolver } from '../../check/check.ts';
import { nodeResolver } from '../../node/resolve.ts';
import { Document, type Workspace } from '../workspace.ts';
import type { Models } from './models.ts';

/** Files that are looked at for references; a folder with more is not a folder of recipes. */
const most = 2000;
const largest = 8 * 1024 * 1024;

/** An open text of the editor. */
export interface Open {
  readonly uri: string;
  readonly version: number;
  getText(): string;
}

/** The view from one root recipe. `use` is resolved as the compiler would for that root. */
export class Folder implements Workspace {
  private readonly resolver: Resolver;
  private readonly where = new Map<string, string>();
  private readonly answers = new Map<string, ReturnType<Resolver>>();
  private listed: readonly Document[] | undefined;
  readonly root: Document;

  constructor(
    open: Open,
    private readonly folder: string,
    private readonly opened: (path: string) => Open | undefined,
    private readonly cache: Map<string, { key: string | number; document: Document }>,
    private readonly models: Models,
  ) {
    const path = fileURLToPath(open.uri);
    const shown = this.shownOf(path);
    this.where.set(shown, path);
    this.root = this.held(shown, path, open);
    this.resolver = nodeResolver(shown, folder, { onFound: (name, real) => void this.where.set(name, real) });
  }
  private shownOf(path: string): string {
    const short = relative(this.folder, path);
    return short.startsWith('..') ? path : short;
  }
  private held(shown: string, path: string, open: Open | undefined, text?: string): Document {
    const content = open?.getText() ?? text ?? '';
    const known = this.cache.get(path);
    if (known && known.document.text === content && known.document.path === shown) return known.document;
    const document = new Document(shown, open?.uri ?? pathToFileURL(path).href, content);
    this.cache.set(path, { key: open?.version ?? 0, document });
    return document;
  }

  document(path: string): Document | undefined {
    if (path === this.root.path) return this.root;
    const real = this.where.get(path);
    if (real === undefined) return undefined;
    const open = this.opened(real);
    return open ? this.held(path, real, open) : this.read(path, real);
  }
  private read(shown: string, path: string): Document | undefined {
    try {
      const text = readFileSync(path, 'utf8');
      return text.length > largest ? undefined : this.held(shown, path, undefined, text);
    } catch {
      return undefined;
    }
  }
  use(spec: string, from: string): ReturnType<Resolver> {
    const key = `${from}\n${spec}`;
    const known = this.answers.get(key);
    if (known) return known;
    const found = this.resolver(spec, from);
    const open = 'error' in found ? undefined : this.document(found.path);
    const answer = open && !('error' in found) ? { ...found, text: open.text } : found;
    this.answers.set(key, answer);
    return answer;
  }
  files(): readonly Document[] {
    this.listed ??= [...recipesBelow(this.folder)].flatMap((path) => {
      const shown = this.shownOf(path);
      if (!this.where.has(shown)) this.where.set(shown, path);
      return this.document(shown) ?? [];
    });
    return this.listed;
  }
  packages(): readonly { name: string; version: string }[] {
    const own = fileURLToPath(this.root.uri);
    const folders = [own, fileURLToPath(import.meta.url)].flatMap((f) => createRequire(f).resolve.paths('x') ?? []);
    const found = new Map<string, string>();
    for (const f of folders.filter((x) => existsSync(x)))
      for (const name of packageNames(f)) {
        const manifest = manifestOf(join(f, name));
        if (manifest && !found.has(name)) found.set(name, manifest);
      }
    return [...found].map(([name, version]) => ({ name, version }));
  }
  bound(d: Document) {
    const path = this.where.get(d.path);
    return path === undefined ? undefined : this.models.bound(d, path, this.folder);
  }
  get rootPath(): string {
    return this.where.get(this.root.path) ?? this.root.path;
  }
  get base(): string {
    return this.folder;
  }
}

/** Recipe files below a folder, sorted; hidden folders and installed packages are left out, links are not followed. */
function* recipesBelow(folder: string, budget = { left: most }): Generator<string> {
  let entries: import('node:fs').Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return;
  }
  for (const e of entries) {
    if (budget.left <= 0) return;
    if (e.isDirectory() && !e.name.startsWith('.') && e.name !== 'node_modules' && e.name !== 'target')
      yield* recipesBelow(join(folder, e.name), budget);
    else if (e.isFile() && e.name.endsWith('.qrecipe')) {
      budget.left--;
      yield resolve(folder, e.name);
    }
  }
}
const names = (folder: string): string[] => {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
};
/** Packages are named by their folders; only scopes and names with `qrecipe` are opened, so that a large node_modules stays cheap. */
const packageNames = (folder: string): string[] =>
  names(folder)
    .flatMap((n) => (n.startsWith('@') ? names(join(folder, n)).map((m) => `${n}/${m}`) : [n]))
    .filter((n) => n.includes('qrecipe') || n.includes('recipe'));
function manifestOf(folder: string): string | undefined {
  try {
    const { version, qrecipe } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version?: string; qrecipe?: unknown };
    return typeof qrecipe === 'string' ? (version ?? '0.0.0') : undefined;
  } catch {
    return undefined;
  }
}
export const folderOf = (uri: string, folders: readonly string[]): string => {
  const path = fileURLToPath(uri);
  const holding = folders.filter((f) => !relative(f, path).startsWith('..')).sort((a, b) => b.length - a.length)[0];
  return holding ?? dirname(path);
};
