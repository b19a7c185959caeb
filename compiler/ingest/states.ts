/** What is known of a value while a quantized graph is read. Every value also stays what its nodes compute, so that nothing is lost where nothing is known. */

import type { Node } from '../graph/types.ts';
import type { ValueFacts } from './facts.ts';

export type State =
  /** x after a round trip through codes: readers read x, and the numbers are theirs. */
  | { readonly kind: 'fake'; readonly x: string; readonly facts: ValueFacts }
  /** Codes of x. */
  | { readonly kind: 'codes'; readonly x: string; readonly facts: ValueFacts }
  /** x as rows of a group: Reshape(x, [-1, group]). */
  | { readonly kind: 'rows'; readonly x: string; readonly group: number }
  /** x in a wider or narrower float. */
  | { readonly kind: 'cast'; readonly x: string; readonly to: number }
  /** A number that is computed from x at run time by a reduction: a scale, a zero point. */
  | {
      readonly kind: 'stat';
      readonly x: string;
      readonly reduced: boolean;
      /** Undefined: over everything. */
      readonly axes: readonly number[] | undefined;
      readonly symmetric: boolean;
      readonly power?: boolean;
      readonly fp8?: boolean;
      /** A weight's scales are in it too. */
      readonly scales?: string;
    }
  /** x over its scale, on its way to codes. */
  | { readonly kind: 'steps'; readonly x: string; readonly facts: ValueFacts; readonly rounded: boolean; readonly mini?: boolean }
  /** An integer product that still waits for scales. */
  | {
      readonly kind: 'product';
      readonly node: Node;
      readonly a: { readonly x: string; readonly facts: ValueFacts };
      /** The second operand: codes of a value, or a constant. */
      readonly b: string;
      readonly zero: string | undefined;
      readonly scaledA: boolean;
      readonly scales?: string;
    }
  /** Rows of a table of codes. */
  | {
      readonly kind: 'lookup';
      readonly table: string;
      readonly ids: string;
      readonly nibbles: boolean;
      readonly zero?: string;
      readonly scales?: string;
    }
  /** Rows of a table of scales or zero points. */
  | { readonly kind: 'beside'; readonly table: string; readonly ids: string };

export type Of<K extends State['kind']> = Extract<State, { kind: K }>;
