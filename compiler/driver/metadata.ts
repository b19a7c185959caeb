/** What travels in the model's metadata: from what it was made, and how. Same inputs, same text. */
import { parse } from '../../grammar/parser.ts';
import { print } from '../../grammar/printer.ts';
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
import type { Calibrated } from './statistics.ts';
import type { CompileOptions } from './types.ts';

export const VERSION = '0.1.0';

/** Keys of the metadata. */
export const keys = {
  version: 'qc.version',
  recipe: 'qc.recipe',
  name: 'qc.recipe.name',
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
  put(keys.lock, o.packages?.length ? json(o.packages) : undefined);
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

interface Made {
  readonly read: Read;
  /** The fingerprint of the float model. */
  readonly model: string;
  readonly calibrated: Calibrated | undefined;
  readonly options: CompileOptions;
}

/** From what a model is made: its recipe with parameters, the float model, the data. */
export async function ingredientsOf({ read, model, calibrated, options }: Made): Promise<Omit<Origin, 'target' | 'ledger'>> {
  const sources = [...read.program.sources].map(([path, text]) => [path === read.file ? nameOf(path) : path, print(parse(text, path).ast)]);
  return {
    sources: Object.fromEntries(sources),
    ...(options.packages ? { packages: options.packages } : {}),
    params: options.params ?? {},
    model,
    ...(calibrated?.dataHash === undefined ? {} : { data: calibrated.dataHash }),
    ...(calibrated ? { statistics: await sha256(encodeStatistics(calibrated.statistics)) } : {}),
  };
}

/** Collects the origin of a compile. */
export async function originOf(
  o: Made & { readonly plan: Planned; readonly target: string; readonly lowered: Lowered; readonly run: Run },
): Promise<Origin> {
  const { lowered, run } = o;
  const emitted = lowered.emitted.map((e) => ({ what: 'lowered', site: e.site, detail: e.ops.join(' ') }));
  return { ...(await ingredientsOf(o)), target: o.target, ledger: [...run.ledger, ...emitted] };
}

/** Paths of a machine do not belong into a file. */
const nameOf = (path: string): string => splitPath(path).name;

/** Search results out of a compiled model, for `--replay`; undefined where qc did not make it. */
export function bindingOf(model: Model): Binding | undefined {
  const text = model.metadata.get(keys.binding);
  return text === undefined ? undefined : (JSON.parse(text) as Binding);
}
