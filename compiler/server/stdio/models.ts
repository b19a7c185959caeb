/** Models that recipes are bound to: read once, again when the file has changed. Only the graph is read, nothing is run. */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { type Diagnostic, QcError } from '../../../grammar/diagnostics.ts';
import { openModel } from '../../driver/model.ts';
import { nodeHost } from '../../node/host.ts';
import type { Bound, Document } from '../workspace.ts';
import { modelComment } from '../workspace.ts';

interface Held {
  readonly key: string;
  readonly bound?: Bound;
  readonly error?: string;
}
export const inside = (path: string, folder: string): boolean => {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
};

export class Models {
  private readonly held = new Map<string, Held>();
  private readonly loading = new Map<string, Promise<void>>();
  private readonly host = nodeHost();
  /** The user's setting, and what to do when a model has been read. */
  setting = '';
  constructor(private readonly ready: () => void) {}

  /** The path that a document names, or the setting; a comment may only name what lies in the workspace. */
  private pathOf(d: Document, file: string, folder: string): { path: string } | { error: string } | undefined {
    const said = modelComment(d.text);
    if (!said) return this.setting ? { path: resolve(folder, this.setting) } : undefined;
    const path = resolve(dirname(file), said.path);
    const outside = { error: `The model ${said.path} lies outside of the workspace; name it in the setting qrecipe.model instead` };
    if (isAbsolute(said.path) || !inside(path, folder)) return outside;
    if (!existsSync(path)) return { error: `There is no model ${said.path} beside the recipe` };
    if (!inside(realpathSync(path), realpathSync(folder))) return outside;
    return { path };
  }

  /** The model if it has been read; else reading begins, and `ready` is called when it is there. */
  bound(d: Document, file: string, folder: string): Bound | undefined {
    const found = this.pathOf(d, file, folder);
    if (!found || 'error' in found) return undefined;
    const key = keyOf(found.path);
    const held = this.held.get(found.path);
    if (key !== undefined && held?.key === key) return held.bound;
    if (!this.loading.has(found.path)) this.loading.set(found.path, this.load(found.path, key ?? 'missing'));
    return held?.bound;
  }
  /** Waits for the model of a document. */
  async settled(d: Document, file: string, folder: string): Promise<void> {
    this.bound(d, file, folder);
    const found = this.pathOf(d, file, folder);
    if (found && 'path' in found) await this.loading.get(found.path);
  }
  /** Why a document's model is not there, at its comment. */
  trouble(d: Document, file: string, folder: string): Diagnostic[] {
    const found = this.pathOf(d, file, folder);
    const message = found && ('error' in found ? found.error : this.held.get(found.path)?.error);
    if (!message) return [];
    const said = modelComment(d.text);
    const { line } = d.positionAt(said?.start ?? 0);
    const span = { file: d.path, start: said?.start ?? 0, end: said?.end ?? 0, line: line + 1, column: 1 };
    return [{ code: 'model', severity: 'warning', message, span, hint: 'What needs a model is not shown.' }];
  }

  private async load(path: string, key: string): Promise<void> {
    try {
      const source = await openModel(await this.host, path);
      await source.close();
      this.held.set(path, { key, bound: { name: basename(path), bytes: source.bytes, model: source.model, sites: source.sites } });
    } catch (error) {
      const said =
        error instanceof QcError ? error.diagnostics.map((d) => d.message).join(' ') : `The model cannot be read: ${String(error)}`;
      this.held.set(path, { key, error: said });
    } finally {
      this.loading.delete(path);
      this.ready();
    }
  }
}

function keyOf(path: string): string | undefined {
  try {
    const s = statSync(path);
    return `${s.mtimeMs} ${s.size}`;
  } catch {
    return undefined;
  }
}
