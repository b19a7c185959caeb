/** A host for tests: real files, and nothing else. */
import { open as openFile, rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Host, ReadFile, WriteFile } from '../../compiler/host.ts';

async function open(folder: string, relative: string): Promise<ReadFile> {
  const path = resolve(folder, relative);
  const f = await openFile(path, 'r');
  return {
    path,
    size: (await f.stat()).size,
    async read(at, len) {
      const bytes = new Uint8Array(len);
      const { bytesRead } = await f.read(bytes, 0, len, at);
      return bytes.subarray(0, bytesRead);
    },
    close: () => f.close(),
  };
}

async function create(path: string): Promise<WriteFile> {
  const temporary = `${path}.tmp`;
  const f = await openFile(temporary, 'w');
  let at = 0;
  return {
    path,
    get at() {
      return at;
    },
    async write(bytes) {
      await f.write(bytes);
      at += bytes.length;
    },
    async commit() {
      await f.close();
      await rename(temporary, path);
    },
    async abort() {
      await f.close();
      await rm(temporary, { force: true });
    },
  };
}

export const files: Pick<Host, 'open' | 'create'> = { open, create };
