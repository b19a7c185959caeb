import { fail } from '../../grammar/diagnostics.ts';
import type { Graph, ValueInfo } from '../graph/types.ts';
import type { Value } from '../host.ts';
import { fedInputs } from './feeds.ts';
import { valueFrom } from './values.ts';

/** The inputs of a language model for windows of one length, without a past: masks of ones, positions 0…, empty or zero caches. Errors: text-input. */
export function tokenFeeds(graph: Graph, windows: readonly (readonly number[])[]): Record<string, Value> {
  const batch = windows.length;
  const length = windows[0]!.length;
  const full = (input: ValueInfo, make: (i: number) => number): Value =>
    valueFrom(
      input.dtype ?? 'int64',
      [batch, length],
      Array.from({ length: batch * length }, (_, i) => make(i)),
    );
  const ids = windows.flat();
  return Object.fromEntries(
    fedInputs(graph).map((input) => {
      const { name } = input;
      if (name === 'input_ids' || name === 'tokens') return [name, full(input, (i) => ids[i]!)];
      if (name === 'attention_mask') return [name, full(input, () => 1)];
      if (name === 'position_ids') return [name, full(input, (i) => i % length)];
      if (name === 'token_type_ids') return [name, full(input, () => 0)];
      if (!/past|cache|state/.test(name) || !input.shape)
        return fail('text-input', `text gives no values for the graph input "${name}"`, 'calibrate on data(…) with arrays for every input');
      const shape = input.shape.map((d, axis) => (typeof d === 'number' ? d : axis === 0 ? batch : 0));
      return [name, valueFrom(input.dtype ?? 'float32', shape, new Float32Array(shape.reduce((a, b) => a * b, 1)))];
    }),
  );
}
