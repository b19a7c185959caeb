/** From what a compiled model was made, read back out of its metadata. Nothing in it is believed: it is text to show and to compare. */
import { fail } from '../../grammar/diagnostics.ts';
import type { Model } from '../graph/types.ts';
import type { Locked } from '../lock.ts';
import type { LedgerEntry } from '../report/data.ts';
import { keys } from './metadata.ts';

export interface ReadOrigin {
  readonly version: string;
  /** `name version` of the recipe. */
  readonly recipe: string;
  readonly root: string;
  readonly target: string;
  readonly model: string;
  readonly data?: string;
  readonly statistics?: string;
  readonly params: Readonly<Record<string, number | string | boolean>>;
  readonly binding: Readonly<Record<string, number | string | boolean>>;
  readonly sources: Readonly<Record<string, string>>;
  readonly packages: readonly Locked[];
  readonly ledger: readonly LedgerEntry[];
}

/** undefined where qc did not make the model. Error `not-made-here` where what it tells is damaged. */
export function readOrigin(model: Model): ReadOrigin | undefined {
  const get = (key: string): string | undefined => model.metadata.get(key);
  const version = get(keys.version);
  if (version === undefined) return undefined;
  const parsed = <T>(key: string, otherwise: T): T => {
    try {
      return JSON.parse(get(key) ?? JSON.stringify(otherwise)) as T;
    } catch {
      return fail('not-made-here', `the metadata ${key} of the model is damaged`, 'Compile it again.');
    }
  };
  const sources = parsed<Record<string, string>>(keys.recipe, {});
  const [data, statistics] = [get(keys.data), get(keys.statistics)];
  return {
    version,
    recipe: get(keys.name) ?? '',
    root: get(keys.root) ?? Object.keys(sources)[0] ?? '',
    target: get(keys.target) ?? '',
    model: get(keys.model) ?? '',
    ...(data === undefined ? {} : { data }),
    ...(statistics === undefined ? {} : { statistics }),
    params: parsed(keys.params, {}),
    binding: parsed(keys.binding, {}),
    sources,
    packages: parsed<Locked[]>(keys.lock, []).map((p) => ({
      ...p,
      dependencies: p.dependencies ?? {},
      deprecations: p.deprecations ?? [],
    })),
    ledger: parsed(keys.ledger, []),
  };
}

/** A few lines for people. */
export function originText(o: ReadOrigin): string {
  const list = (r: Readonly<Record<string, unknown>>): string =>
    Object.entries(r)
      .map(([k, v]) => `${k} = ${v}`)
      .join(', ');
  const rows: [string, string][] = [
    ['made by', `qc ${o.version}, target ${o.target}`],
    ['recipe', `${o.recipe} (${o.root})`],
    ['params', list(o.params)],
    ['chosen', list(o.binding)],
    ['packages', o.packages.map((p) => `${p.name}@${p.version}${p.integrity ? ` ${p.integrity.slice(0, 20)}…` : ' (linked)'}`).join(', ')],
    ['model', o.model],
    ['data', o.data ?? ''],
    ['statistics', o.statistics ?? ''],
    ['ledger', `${o.ledger.length} entries`],
  ];
  return `${rows
    .filter(([, v]) => v !== '')
    .map(([k, v]) => `${k.padEnd(10)}  ${v}`)
    .join('\n')}\n`;
}
