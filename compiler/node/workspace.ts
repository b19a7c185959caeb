import { mkdir, readdir, realpath, rm } from 'node:fs/promises';
import { fail } from '../../grammar/diagnostics.ts';
import type { Workspace } from '../host.ts';
import type { Cleanup } from './cleanup.ts';
import { guarded } from './errors.ts';

/** A folder for work that has to survive a kill (see Host.workspace). */
export async function openWorkspace(path: string, mark: string, keep: boolean, cleanup: Cleanup): Promise<Workspace> {
  const there = await readdir(path).catch((e: NodeJS.ErrnoException): string[] | undefined => (e.code === 'ENOENT' ? undefined : ['?']));
  if (there && there.length > 0 && !there.includes(mark))
    fail('workspace-foreign', `${path} is no folder of an interrupted compile`, 'move it away, or name another output');
  if (keep && !there?.includes(mark))
    fail('resume-nothing', `there is nothing to resume: ${path} is not there`, 'leave out --resume, or name the same output as before');
  const remove = () => rm(path, { recursive: true, force: true });
  if (!keep) {
    if (there) await remove();
    await guarded(path, () => mkdir(path));
  }
  const dir = await realpath(path);
  return { dir, claim: () => cleanup.add(dir), remove: () => remove().then(() => cleanup.forget(dir)) };
}
