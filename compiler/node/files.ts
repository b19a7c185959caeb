import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, type FileHandle, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { fail } from '../../grammar/diagnostics.ts';
import type { ReadFile, WriteFile } from '../host.ts';
import type { Cleanup } from './cleanup.ts';
import { guarded } from './errors.ts';

/** Where a path that the user named really lies: symbolic links followed, so that its folder is the one that confines what the file refers to. */
export async function locate(path: string): Promise<{ folder: string; file: string }> {
  const real = await guarded(path, () => realpath(path));
  return { folder: dirname(real), file: basename(real) };
}

/** The real path of `name` below `folder`; `path-escape` if it lies elsewhere. */
export async function confine(folder: string, name: string): Promise<string> {
  const refuse = () =>
    fail(
      'path-escape',
      `the path "${name}" leaves the folder ${folder}`,
      'files that a model or recipe refers to must lie in its own folder',
    );
  if (isAbsolute(name) || name.includes('\0')) refuse();
  const root = await guarded(folder, () => realpath(folder));
  const lexical = relative(root, resolve(root, name));
  if (lexical === '..' || lexical.startsWith(`..${sep}`)) refuse();
  const path = await guarded(join(folder, name), () => realpath(resolve(root, name)));
  if (path !== root && !path.startsWith(root.endsWith(sep) ? root : root + sep)) refuse();
  return path;
}

/** Opens a file below a folder for random access. Errors: path-escape, file-missing, is-folder, no-permission. */
export async function openBelow(folder: string, name: string): Promise<ReadFile> {
  const path = await confine(folder, name);
  const handle = await guarded(path, () => open(path, 'r'));
  const info = await handle.stat();
  if (!info.isFile()) {
    await handle.close();
    fail(info.isDirectory() ? 'is-folder' : 'not-file', `${path} is not a regular file`, 'name the file inside it');
  }
  return {
    path,
    size: info.size,
    async read(at, len) {
      if (at < 0 || len < 0 || at + len > info.size)
        fail(
          'file-truncated',
          `${path} ends at byte ${info.size}, bytes ${at}…${at + len} were asked for`,
          'the file is cut off; copy it again',
        );
      const bytes = new Uint8Array(len);
      await guarded(path, () => fill(handle, bytes, at, path));
      return bytes;
    },
    close: () => handle.close(),
  };
}

/** Names of the regular files directly in a folder, sorted by code units; links count as what they point to. */
export async function listFiles(folder: string): Promise<string[]> {
  const names = await guarded(folder, () => readdir(folder));
  const infos = await Promise.all(names.map((name) => stat(join(folder, name)).catch(() => undefined)));
  return names.filter((_, i) => infos[i]?.isFile()).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

const most = 1 << 30;
async function fill(handle: FileHandle, bytes: Uint8Array, at: number, path: string): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(bytes.length - done, most), at + done);
    if (bytesRead === 0) fail('file-truncated', `${path} became shorter while it was read`, 'do not change it during a compile');
    done += bytesRead;
  }
}

/** A new file that gets its name at `commit`; until then a hidden temporary beside it. Errors: output-exists, not-folder, no-permission, disk-full. */
export async function createFile(path: string, force: boolean, cleanup: Cleanup): Promise<WriteFile> {
  const target = resolve(path);
  const there = await stat(target).catch(() => undefined);
  if (there?.isDirectory()) fail('is-folder', `${path} is a folder, a file is to be written there`, 'give a file name');
  if (there && !force) fail('output-exists', `${path} exists`, 'use --force to replace it, or -o another name');
  const folder = dirname(target);
  await guarded(folder, () => access(folder, constants.W_OK));
  const temporary = join(folder, `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
  const handle = await guarded(path, () => open(temporary, 'wx'));
  cleanup.add(temporary);
  let at = 0;
  let opened = true;
  const abort = async () => {
    if (opened) await handle.close().catch(() => undefined);
    opened = false;
    await rm(temporary, { force: true });
    cleanup.forget(temporary);
  };
  return {
    path: target,
    get at() {
      return at;
    },
    async write(bytes) {
      await guarded(path, async () => {
        for (let done = 0; done < bytes.length; ) {
          const { bytesWritten } = await handle.write(bytes, done, Math.min(bytes.length - done, most), at + done);
          done += bytesWritten;
        }
      });
      at += bytes.length;
    },
    async commit() {
      await guarded(path, async () => {
        await handle.close();
        opened = false;
        await rename(temporary, target);
      });
      cleanup.forget(temporary);
    },
    abort,
  };
}
