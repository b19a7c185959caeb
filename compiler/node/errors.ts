import { QcError } from '../../grammar/diagnostics.ts';

const known: Readonly<Record<string, { code: string; say: (path: string) => string; hint: string }>> = {
  ENOENT: { code: 'file-missing', say: (p) => `there is no file ${p}`, hint: 'check the path; names are case-sensitive' },
  EISDIR: { code: 'is-folder', say: (p) => `${p} is a folder, a file was expected`, hint: 'name the file inside it' },
  ENOTDIR: { code: 'not-folder', say: (p) => `a part of the path ${p} is a file, not a folder`, hint: 'check the path' },
  EACCES: { code: 'no-permission', say: (p) => `no permission for ${p}`, hint: 'check the permissions of the file and its folder' },
  EPERM: { code: 'no-permission', say: (p) => `not permitted: ${p}`, hint: 'check the permissions of the file and its folder' },
  EROFS: { code: 'no-permission', say: (p) => `${p} lies on a read-only file system`, hint: 'write somewhere else with -o' },
  ENOSPC: { code: 'disk-full', say: (p) => `the disk is full, cannot write ${p}`, hint: 'free space or write somewhere else with -o' },
  EDQUOT: {
    code: 'disk-full',
    say: (p) => `the disk quota is used up, cannot write ${p}`,
    hint: 'free space or write somewhere else with -o',
  },
  EFBIG: { code: 'disk-full', say: (p) => `${p} would be larger than the file system allows`, hint: 'write somewhere else with -o' },
  ELOOP: { code: 'file-missing', say: (p) => `the symbolic links of ${p} go in a circle`, hint: 'repair the links' },
  ENAMETOOLONG: { code: 'file-missing', say: (p) => `the name is too long: ${p}`, hint: 'use a shorter path' },
};

/** What the system said about a path, as an error for users; anything that is not a system error comes back unchanged. */
export function systemError(error: unknown, path: string): unknown {
  const errno = error instanceof Error && 'code' in error ? String(error.code) : '';
  const entry = known[errno];
  if (!entry) return error;
  return new QcError([{ code: entry.code, severity: 'error', message: entry.say(path), hint: entry.hint }]);
}

/** Runs a file operation; system errors become QcErrors that name the path. */
export async function guarded<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw systemError(error, path);
  }
}
