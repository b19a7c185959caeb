import { fail } from '../../grammar/diagnostics.ts';
import type { Observer } from '../define.ts';
import { observers } from '../observers/index.ts';
import type { Ref, Schema } from '../schema.ts';

const byName: ReadonlyMap<string, Observer<Schema>> = new Map(observers.map((o: Observer<Schema>) => [o.name, o]));

/** The observer of a name, with defaults filled in, so that one meaning has one reference. Error: observer-unknown. */
export function resolveObserver(ref: Ref): { observer: Observer<Schema>; ref: Ref } {
  const observer = byName.get(ref.name);
  if (!observer) return fail('observer-unknown', `there is no observer "${ref.name}"; there are ${[...byName.keys()].join(', ')}`);
  const args = Object.fromEntries(Object.entries(observer.params).map(([key, param]) => [key, ref.args[key] ?? param.default]));
  return { observer, ref: { name: ref.name, args } };
}
