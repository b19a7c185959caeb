/** Data behind the names of a recipe: `data("calib")` with `--data calib=DIR`. */

import { fail } from '../../grammar/diagnostics.ts';
import { dataSource, type Source, textSource } from '../calibrate/index.ts';
import { failAt } from '../plan/bind.ts';
import type { Decider } from '../plan/types.ts';
import type { Ref } from '../schema.ts';
import type { CompileOptions } from './types.ts';

const count = (v: unknown): number | undefined => (typeof v === 'number' ? v : undefined);

/** Opens a source. Errors: `data-unbound` (names the option to give), those of the source. */
export async function openSource(
  ref: Ref,
  fields: Readonly<Record<string, unknown>>,
  by: Decider | undefined,
  dir: string,
  options: CompileOptions,
): Promise<Source> {
  const name = String(ref.args['name'] ?? '');
  const path = options.data?.[name];
  if (path === undefined) return unbound(name, ref.name, by);
  const samples = count(fields['samples']);
  const length = count(fields['length']);
  if (ref.name === 'text')
    return textSource(options.host, path, {
      tokenizerFolder: dir,
      ...(samples === undefined ? {} : { samples }),
      ...(length === undefined ? {} : { length }),
    });
  return dataSource(options.host, path, samples === undefined ? {} : { samples });
}

function unbound(name: string, kind: string, by: Decider | undefined): never {
  const message = `The recipe reads ${kind}("${name}"), and nothing says where that is.`;
  const hint = `Give it on the command line: --data ${name}=${kind === 'text' ? 'FILE' : 'DIR'}.`;
  return by ? failAt('data-unbound', message, by.span, hint) : fail('data-unbound', message, hint);
}
