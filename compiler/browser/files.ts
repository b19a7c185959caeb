/** Files of a browser tab: what the user chose (read lazily, piece by piece) and what was written (kept in memory until it is saved). */
import { fail } from '../../grammar/diagnostics.ts';
import type { ReadFile, WriteFile } from '../host.ts';

/** Files by path, with `/` between folders. A `File` that a user chose is a `Blob`: nothing of it is read until it is asked for. */
export type Files = Map<string, Blob>;

/** The path of `name` below `folder`. Errors: path-escape. */
function below(folder: string, name: string): string {
  const parts = name.split(/[/\\]/);
  if (/^[/\\]|^[A-Za-z]:|\0/.test(name) || parts.includes('..'))
    fail(
      'path-escape',
      `the path "${name}" leaves the folder ${folder}`,
      'files that a model or recipe refers to must lie in its own folder',
    );
  return [...(folder === '.' ? [] : [folder]), ...parts.filter((p) => p !== '.')].join('/');
}

/** Opens a file for random access. Errors: path-escape, file-missing, file-truncated, unreadable (the file was changed or removed on disk). */
export async function openBelow(files: Files, folder: string, name: string): Promise<ReadFile> {
  const path = below(folder, name);
  const blob = files.get(path);
  if (!blob) return fail('file-missing', `there is no file ${path}`, 'choose it together with the model');
  return {
    path,
    size: blob.size,
    async read(at, len) {
      if (at < 0 || len < 0 || at + len > blob.size)
        fail(
          'file-truncated',
          `${path} ends at byte ${blob.size}, bytes ${at}…${at + len} were asked for`,
          'the file is cut off; copy it again',
        );
      const bytes = await blob
        .slice(at, at + len)
        .arrayBuffer()
        .catch((e: Error) => fail('unreadable', `${path} cannot be read: ${e.message}`, 'choose the file again'));
      return new Uint8Array(bytes);
    },
    async close() {},
  };
}

/** Names of the files directly in a folder, sorted by code units. */
export function listFiles(files: Files, folder: string): string[] {
  const start = `${folder}/`;
  return [...files.keys()]
    .filter((p) => p.startsWith(start) && !p.slice(start.length).includes('/'))
    .map((p) => p.slice(start.length))
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** A new file that appears under its path at `commit`. Errors: output-exists. */
export function createFile(files: Files, path: string, force: boolean): WriteFile {
  if (files.has(path) && !force) fail('output-exists', `${path} exists`, 'choose another name');
  // Blobs, so that a browser may keep them on disk.
  const parts: Blob[] = [];
  let at = 0;
  return {
    path,
    get at() {
      return at;
    },
    async write(bytes) {
      parts.push(new Blob([Uint8Array.from(bytes)]));
      at += bytes.length;
    },
    async commit() {
      files.set(path, new Blob(parts));
    },
    async abort() {
      parts.length = 0;
    },
  };
}
