/** Reads a mapping key by key and knows which keys nobody asked for: those are told, never dropped. */
import { type Data, isList, isMapping } from './data.ts';
import type { Draft } from './draft.ts';

export class Reader {
  private readonly of: ReadonlyMap<string, Data>;
  private readonly taken = new Set<string>();
  readonly path: string;

  constructor(of: Data | undefined, path: string) {
    this.of = isMapping(of) ? of : new Map();
    this.path = path;
  }

  has(key: string): boolean {
    return this.of.has(key);
  }
  keys(): string[] {
    return [...this.of.keys()];
  }
  /** The value of the first of these keys that is there; all of them count as read. */
  take(...keys: readonly string[]): Data | undefined {
    for (const k of keys) this.taken.add(k);
    const key = keys.find((k) => this.of.has(k));
    return key === undefined ? undefined : this.of.get(key);
  }
  /** Looks without counting the key as read. */
  peek(key: string): Data | undefined {
    return this.of.get(key);
  }
  at(key: string): string {
    return this.path ? `${this.path}.${key}` : key;
  }
  /** A value of the wrong type stays unread, so that it is told. */
  private typed<T extends Data>(keys: readonly string[], is: (d: Data) => d is T): T | undefined {
    for (const k of keys) {
      const v = this.of.get(k);
      if (v === undefined) continue;
      if (v !== null && !is(v)) return undefined;
      this.take(...keys);
      return v === null ? undefined : v;
    }
    return undefined;
  }
  number(...keys: readonly string[]): number | undefined {
    return this.typed(keys, (d): d is number => typeof d === 'number' && Number.isFinite(d));
  }
  /** A whole number in a range; others stay unread. */
  int(least: number, most: number, ...keys: readonly string[]): number | undefined {
    return this.typed(keys, (d): d is number => typeof d === 'number' && Number.isInteger(d) && d >= least && d <= most);
  }
  flag(...keys: readonly string[]): boolean | undefined {
    return this.typed(keys, (d): d is boolean => typeof d === 'boolean');
  }
  word(...keys: readonly string[]): string | undefined {
    return this.typed(keys, (d): d is string => typeof d === 'string');
  }
  /** A list of words; one word alone is a list of one. */
  words(...keys: readonly string[]): readonly string[] | undefined {
    const is = (d: Data): d is readonly string[] | string => typeof d === 'string' || (isList(d) && d.every((x) => typeof x === 'string'));
    const v = this.typed(keys, is as (d: Data) => d is readonly Data[]) as readonly string[] | string | undefined;
    return typeof v === 'string' ? [v] : v;
  }
  inner(...keys: readonly string[]): Reader | undefined {
    const key = keys.find((k) => isMapping(this.of.get(k)));
    if (key === undefined) {
      if (keys.some((k) => this.of.get(k) === null)) this.take(...keys);
      return undefined;
    }
    this.take(...keys);
    return new Reader(this.of.get(key), this.at(key));
  }
  /** Tells every key that nobody read; `why` says what is known of some. */
  rest(draft: Draft, why: Readonly<Record<string, string>> = {}): void {
    for (const [key, value] of this.of) {
      if (this.taken.has(key)) continue;
      draft.lost(this.at(key), value, Object.hasOwn(why, key) ? why[key] : undefined);
    }
  }
}
