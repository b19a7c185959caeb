/**
 * Parameters of a named thing, as one value: it gives the check, the TypeScript type, the default and the reference page.
 * `num({ min: 0, max: 1, default: 0.5, doc: '…' })` is a parameter; a schema is a record of them.
 */
export type Unit = 'dB' | '%' | 'x' | 'B' | 'KB' | 'MB' | 'GB' | 'ms' | 'M';

/** The kinds of names that the language knows; each has its folder (or is a table) in the compiler. */
export type NameKind =
  | 'role'
  | 'transform'
  | 'format'
  | 'scheme'
  | 'law'
  | 'solver'
  | 'objective'
  | 'search'
  | 'sampler'
  | 'source'
  | 'target'
  | 'domain'
  | 'metric'
  | 'allocation'
  | 'matrix'
  | 'evaluation';

/** A resolved name with checked parameters: `mse(80, p: 2.4)` is { name: 'mse', args: { steps: 80, p: 2.4, … } }. */
export interface Ref {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

export type ParamKind =
  | { readonly kind: 'number'; readonly int: boolean; readonly min?: number; readonly max?: number; readonly units?: readonly Unit[] }
  | { readonly kind: 'bool' }
  | { readonly kind: 'string' }
  | { readonly kind: 'choice'; readonly of: readonly string[] }
  | { readonly kind: 'ref'; readonly of: NameKind }
  | { readonly kind: 'selection' }
  | { readonly kind: 'expression' }
  | { readonly kind: 'range' }
  | { readonly kind: 'list'; readonly of: Param<unknown> }
  | { readonly kind: 'record'; readonly of?: Schema }
  | { readonly kind: 'either'; readonly of: readonly Param<unknown>[] };

export interface Param<T> {
  readonly is: ParamKind;
  readonly doc: string;
  /** Absent: the parameter must be given. */
  readonly default?: T;
  readonly optional: boolean;
  /** Other spellings that the field uses (`group_size`); accepted, printed canonically. */
  readonly aliases?: readonly string[];
  /** Aliases that are deprecated, in packages that say so. */
  readonly renamed?: Readonly<Record<string, { readonly since: string; readonly note?: string }>>;
  /** Phantom. */
  readonly _type?: T;
}
export type Schema = { readonly [name: string]: Param<unknown> };
export type ParamsOf<S extends Schema> = { readonly [K in keyof S]: S[K] extends Param<infer T> ? T : never };

interface Common<T> {
  readonly doc: string;
  readonly default?: T;
  readonly optional?: boolean;
  readonly aliases?: readonly string[];
}
const make = <T>(is: ParamKind, o: Common<T>): Param<T> => ({
  is,
  doc: o.doc,
  optional: o.optional === true || o.default !== undefined,
  ...(o.default === undefined ? {} : { default: o.default }),
  ...(o.aliases ? { aliases: o.aliases } : {}),
});

export const num = (o: Common<number> & { min?: number; max?: number; units?: readonly Unit[] }): Param<number> =>
  make(
    {
      kind: 'number',
      int: false,
      ...(o.min === undefined ? {} : { min: o.min }),
      ...(o.max === undefined ? {} : { max: o.max }),
      ...(o.units ? { units: o.units } : {}),
    },
    o,
  );
export const int = (o: Common<number> & { min?: number; max?: number }): Param<number> =>
  make({ kind: 'number', int: true, ...(o.min === undefined ? {} : { min: o.min }), ...(o.max === undefined ? {} : { max: o.max }) }, o);
export const bool = (o: Common<boolean>): Param<boolean> => make({ kind: 'bool' }, o);
export const str = (o: Common<string>): Param<string> => make({ kind: 'string' }, o);
export const choice = <const C extends string>(of: readonly C[], o: Common<C>): Param<C> => make({ kind: 'choice', of }, o);
export const ref = (of: NameKind, o: Common<Ref>): Param<Ref> => make({ kind: 'ref', of }, o);
export const selection = (o: Common<unknown>): Param<unknown> => make({ kind: 'selection' }, o);
export const expression = (o: Common<unknown>): Param<unknown> => make({ kind: 'expression' }, o);
export const range = (o: Common<readonly [number, number]>): Param<readonly [number, number]> => make({ kind: 'range' }, o);
export const list = <T>(of: Param<T>, o: Common<readonly T[]>): Param<readonly T[]> => make({ kind: 'list', of }, o);
export const record = (o: Common<Record<string, unknown>> & { of?: Schema }): Param<Record<string, unknown>> =>
  make({ kind: 'record', ...(o.of ? { of: o.of } : {}) }, o);
export const either = <T>(of: readonly Param<unknown>[], o: Common<T>): Param<T> => make({ kind: 'either', of }, o);
