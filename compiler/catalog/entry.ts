/** What the catalogue knows of one name. */
import type { NameKind, Schema } from '../schema.ts';

/** Kinds of names, and the functions that expressions call (`size`, `mean_bits(…)`). */
export type Kind = NameKind | 'function';

export interface Entry {
  readonly kind: Kind;
  readonly name: string;
  readonly doc: string;
  readonly params: Schema;
  readonly positional?: readonly string[];
  readonly formula?: string;
  readonly cite?: string;
  readonly since?: string;
  /** The unit that a measured thing has, or the units that it may be compared in. */
  readonly units?: readonly string[];
  /** Another spelling of a name with arguments fixed: int4 is int(4). */
  readonly spelling?: { readonly of: string; readonly fixed: Readonly<Record<string, unknown>> };
  /** Formats: a cast has no codes, so no mode and no granularity. */
  readonly cast?: boolean;
  /** In the catalogue, not built yet. */
  readonly planned?: true;
}

type Rest = Partial<Pick<Entry, 'positional' | 'formula' | 'cite' | 'units'>>;

/** A name of the catalogue whose algorithm is not built. Positional parameters: all, in order, unless said. */
export const planned = (kind: Kind, name: string, doc: string, params: Schema = {}, rest: Rest = {}): Entry => ({
  kind,
  name,
  doc,
  params,
  positional: Object.keys(params),
  planned: true,
  ...rest,
});
