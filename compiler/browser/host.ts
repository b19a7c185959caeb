/** The effects of a run in a browser tab: files in memory, the wasm crunch, sessions of whatever runtime the page brings. */
import { fail } from '../../grammar/diagnostics.ts';
import type { Crunch } from '../crunch.ts';
import { openTensors } from '../graph/bytes.ts';
import { encodeModel } from '../graph/write.ts';
import type { Host, Session } from '../host.ts';
import { createFile, type Files, listFiles, openBelow } from './files.ts';

export interface BrowserHostOptions {
  readonly files: Files;
  readonly crunch: Crunch;
  /** Opens a session over an encoded model with all its weights inside; called only where something has to be run. */
  readonly session: (model: Uint8Array, options: { readonly threads?: number }) => Promise<Session>;
}

/** Makes the host of one run. Needs no DOM: it works in a worker, and in node. */
export function browserHost({ files, crunch, session }: BrowserHostOptions): Host {
  const host: Host = {
    crunch,
    open: (folder, name) => openBelow(files, folder, name),
    list: async (folder) => listFiles(files, folder),
    create: async (path, force) => createFile(files, path, force),
    async session(model, dir, options = {}) {
      const reader = openTensors(host, dir);
      try {
        const bytes = await encodeModel(model, reader, (t) => reader.bytes(t));
        return await session(bytes, options.threads === undefined ? {} : { threads: options.threads });
      } finally {
        await reader.close();
      }
    },
    // A tab that was closed leaves nothing: there is never anything to resume.
    async workspace(path, _mark, keep) {
      if (keep) fail('resume-nothing', `there is nothing to resume: ${path} is not there`, 'start again');
      const remove = async () => {
        for (const name of listFiles(files, path)) files.delete(`${path}/${name}`);
      };
      await remove();
      return { dir: path, claim: () => {}, remove };
    },
    now: () => performance.now(),
    scratch: async () => '.scratch',
  };
  return host;
}
