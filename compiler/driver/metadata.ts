/** What travels in the model's metadata: from what it was made, and how. Same inputs, same text. */
import { encodeStatistics } from '../calibrate/index.ts';
import { splitPath } from '../calibrate/source.ts';
import type { Lowered } from '../define.ts';
import type { Model } from '../graph/types.ts';
import type { Locked } from '../lock.ts';
import type { Planned } from '../plan/plan.ts';
import type { Binding } from '../recipe.ts';
import type { LedgerEntry } from '../report/data.ts';
import { sha256 } from './hash.ts';
import type { Read } from './recipe.ts';
import type { Run } from './run.ts';
import { sourcesOf } from './sources.ts';
import type { Calibrated } from './statistics.ts';
import type { CompileOptions } from './types.ts';

export const VERSION = '0.1.0';

/** Keys of the metadata. */
export const keys = {
  version: 'qc.version',
  recipe: 'qc.recipe',
  name: 'qc.recipe.name',
  root: 'qc.recipe.root',
  lock: 'qc.lock',
  params: 'qc.params',
  binding: 'qc.binding',
  target: 'qc.target',
  model: 'qc.model.fingerprint',
  data: 'qc.calibration.sha256',
  statistics: 'qc.statistics.sha256',
  ledger: 'qc.ledger',
} as const;

export interface Origin {
  /** Every recipe file that was read, canonical, by path. */
  readonly sources: Readonly<Record<string, string>>;
  /** Which of them is the recipe that was compiled. */
  readonly root: string;
  /** The packages that the recipe is made of. */
  readonly packages?: readonly Locked[];
  readonly params: Readonly<Record<string, unknown>>;
  readonly target: string;
  readonly model: string;
  readonly data?: string;
  readonly statistics?: string;
  readonly ledger: readonly LedgerEntry[];
}

const json = (value: unknown): string => JSON.stringify(value);
const sorted = (r: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(r).sort(([a], [b]) => (a < b ? -1 : 1)));

/** The model with its origin in the metadata; what was there stays. */
export function withOrigin(model: Model, plan: Planned, o: Origin): Model {
  const metadata = new Map(model.metadata);
  const put = (key: string, value: string | undefined) => (value === undefined ? metadata.delete(key) : metadata.set(key, value));
  put(keys.version, VERSION);
  put(keys.recipe, json(sorted(o.sources)));
  put(keys.root, o.root);
  const used = (o.packages ?? []).filter((p) => Object.keys(o.sources).some((path) => path.startsWith(`${p.name}@${p.version}/`)));
  put(keys.lock, used.length ? json(used.map(told)) : undefined);
  put(keys.name, `${plan.recipe} ${plan.version}`);
  put(keys.params, json(sorted(o.params)));
  put(keys.binding, json(sorted(plan.binding)));
  put(keys.target, o.target);
  put(keys.model, o.model);
  put(keys.data, o.data);
  put(keys.statistics, o.statistics);
  put(keys.ledger, json(o.ledger));
  return { ...model, producer: 'qc', producerVersion: VERSION, metadata };
}

/** A package in the fewest words. */
const told = (p: Locked): object => ({
  name: p.name,
  version: p.version,
  ...(p.integrity === undefined ? {} : { integrity: p.integrity }),
  entry: p.entry.replace(/^\.\//, ''),
  ...(Object.keys(p.dependencies).length ? { dependencies: sorted(p.dependencies) } : {}),
  ...(p.deprecations.length ? { deprecations: p.deprecations } : {}),
});

/** Collects the origin of a compile. */
export async function originOf(o: {
  readonly read: Read;
  readonly plan: Planned;
  readonly target: string;
  /** Its fingerprint. */
  readonly model: string;
  readonly calibrated: Calibrated | undefined;
  readonly lowered: Pick<Lowered, 'emitted'>;
  readonly options: CompileOptions;
  readonly run: Pick<Run, 'ledger'>;
}): Promise<Origin> {
  const { read, model, calibrated, lowered, options, run } = o;
  const packed = (path: string): boolean => (options.packages ?? []).some((p) => path.startsWith(`${p.name}@${p.version}/`));
  const texts = [...sourcesOf(read.program, read.file, read.recipe)];
  const sources = texts.map(([path, text]) => [packed(path) ? path : besideRoot(path, read.file), text]);
  const emitted = lowered.emitted.map((e) => ({ what: 'lowered', site: e.site, detail: e.ops.join(' ') }));
  return {
    sources: Object.fromEntries(sources),
    root: nameOf(read.file),
    ...(options.packages ? { packages: options.packages } : {}),
    params: options.params ?? {},
    target: o.target,
    model,
    ...(calibrated?.dataHash === undefined ? {} : { data: calibrated.dataHash }),
    ...(calibrated ? { statistics: await sha256(encodeStatistics(calibrated.statistics)) } : {}),
    ledger: [...run.ledger, ...emitted],
  };
}

/** Paths of a machine do not belong into a file. */
const besideRoot = (path: string, root: string): string => {
  const [from, to] = [root.split('/').slice(0, -1), path.split('/')];
  const apart = from.findIndex((part, i) => part !== to[i]);
  const shared = apart < 0 ? from.length : apart;
  return [...from.slice(shared).map(() => '..'), ...to.slice(shared)].join('/');
};
const nameOf = (path: string): string => splitPath(path).name;

/** Search results out of a compiled model, for `--replay`; undefined where qc did not make it. */
export function bindingOf(model: Model): Binding | undefined {
  const text = model.metadata.get(keys.binding);
  return text === undefined ? undefined : (JSON.parse(text) as Binding);
}
