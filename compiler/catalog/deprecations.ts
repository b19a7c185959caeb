/** Names that got a better one. They still mean what they meant; `qc check` warns, `qc upgrade` and editors rewrite them. */
import type { Kind } from './entry.ts';

export interface Deprecation {
  /** Kind of the name; `key`: a key of a record or call, which must also be an alias in its schema; `recipe`, `parameter`: of a package. */
  readonly kind: Kind | 'key' | 'recipe' | 'parameter';
  readonly name: string;
  readonly to: string;
  /** The version that deprecated it. */
  readonly since: string;
  readonly note?: string;
}

export const deprecations: readonly Deprecation[] = [
  {
    kind: 'key',
    name: 'calibrate_method',
    to: 'scale',
    since: '0.1.0',
    note: 'It takes a scale law, for weights too, not only a method of calibration.',
  },
];
