/** The model that is compiled: loaded, in its canonical form, its sites found. */
import { openTensors, type Reader } from '../graph/bytes.ts';
import { canonicalize } from '../graph/canonical.ts';
import { infer } from '../graph/infer.ts';
import { type Loaded, loadModel } from '../graph/load.ts';
import type { Host, Value } from '../host.ts';
import { findSites } from '../match/find.ts';
import type { Sites } from '../sites.ts';
import { fingerprint } from './hash.ts';

export interface Source extends Loaded {
  readonly path: string;
  readonly sites: Sites;
  readonly reader: Reader;
  /** Turns data of the float model into data of this one, where transforms changed what a cache holds. */
  readonly adapt?: (feeds: Readonly<Record<string, Value>>) => Readonly<Record<string, Value>>;
  /** The model's identity; computed at the first call. */
  fingerprint(): Promise<string>;
  close(): Promise<void>;
}

/** Opens a model for compiling. `crunch` evaluates its lazy tensors. Errors: those of loadModel. */
export async function openModel(host: Pick<Host, 'open' | 'crunch'>, path: string): Promise<Source> {
  const loaded = await loadModel(host, path);
  const model = infer(canonicalize(loaded.model));
  const reader = openTensors(host, loaded.dir);
  let print: Promise<string> | undefined;
  return {
    ...loaded,
    model,
    path,
    sites: findSites(model),
    reader,
    fingerprint() {
      print ??= fingerprint(loaded.model, reader);
      return print;
    },
    close: () => reader.close(),
  };
}
