/** Text files of the user, in and out. */
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fail } from '../../grammar/diagnostics.ts';
import type { Host } from '../host.ts';
import { guarded } from '../node/errors.ts';
import { writeWhole } from '../node/whole.ts';
import type { Io } from './io.ts';

/** A recipe is written by people; what is larger is something else. */
const MOST = 64 << 20;

/** Reads a text file of at most 64 MiB. Errors name the path as the user gave it. */
export async function readText(io: Io, path: string): Promise<string> {
  const full = resolve(io.cwd, path);
  const info = await guarded(path, () => stat(full));
  if (info.size > MOST)
    fail('too-large', `${path} has ${info.size} bytes; a text of at most ${MOST} was expected`, 'name the recipe, not the model');
  const bytes = await guarded(path, () => readFile(full));
  if (bytes.includes(0))
    fail('not-text', `${path} is not a text file`, 'is it the model? The order is: qc compile model.onnx recipe.qrecipe');
  return bytes.toString('utf8');
}

/** Writes a whole text at once, or nothing. */
export async function writeText(host: Pick<Host, 'create'>, io: Io, path: string, text: string, force: boolean): Promise<void> {
  await writeWhole(host, resolve(io.cwd, path), text, force);
}
