/** Are these arrays what the graph takes? Each message names the file, the input, what was expected and what was found. */
import { closest, distance } from 'fastest-levenshtein';
import { fail } from '../../grammar/diagnostics.ts';
import { isFloat } from '../graph/dtype.ts';
import type { Dim, Graph, ValueInfo } from '../graph/types.ts';
import type { Value } from '../host.ts';
import { floats } from './values.ts';

/** The inputs that must be fed: those without a default value. */
export const fedInputs = (graph: Graph): readonly ValueInfo[] => graph.inputs.filter((i) => !graph.initializers.has(i.name));

const shown = (shape: readonly Dim[] | undefined): string => (shape ? `[${shape.join(', ')}]` : 'any shape');
const names = (list: readonly string[]): string => list.map((n) => `"${n}"`).join(', ');

/**
 * Checks one batch against the graph's inputs. A symbol that several inputs share must have one size. `label` names the file.
 * Errors: data-missing-input, data-unknown-input, data-type, data-rank, data-shape, data-empty, data-nan.
 */
export function checkFeeds(graph: Graph, feeds: ReadonlyMap<string, Value>, label: string): void {
  const wanted = fedInputs(graph);
  const all = new Set(graph.inputs.map((i) => i.name));
  const unknown = [...feeds.keys()].filter((name) => !all.has(name));
  const missing = wanted.filter((i) => !feeds.has(i.name)).map((i) => i.name);
  if (missing.length) {
    const hint = unknown.length ? similar(missing[0]!, unknown) : undefined;
    fail(
      'data-missing-input',
      `${label}: no array for the graph input${missing.length > 1 ? 's' : ''} ${names(missing)}; the file has ${feeds.size ? names([...feeds.keys()]) : 'no arrays'}`,
      hint ? `is "${hint}" meant? name the arrays like the graph inputs` : 'name the arrays like the graph inputs',
    );
  }
  if (unknown.length)
    fail(
      'data-unknown-input',
      `${label}: the graph has no input${unknown.length > 1 ? 's' : ''} ${names(unknown)}; its inputs are ${names([...all])}`,
      'leave out arrays that are not graph inputs',
    );
  const sizes = new Map<string, { size: number; input: string }>();
  for (const input of wanted) checkInput(input, feeds.get(input.name)!, label, sizes);
}

/** The nearest of some names, where one is near enough to be meant. */
function similar(name: string, candidates: readonly string[]): string | undefined {
  const near = closest(name, [...candidates]);
  return distance(name, near) <= Math.max(2, name.length / 3) ? near : undefined;
}

function checkInput(input: ValueInfo, value: Value, label: string, sizes: Map<string, { size: number; input: string }>): void {
  const at = `${label}: input "${input.name}"`;
  if (input.dtype && value.dtype !== input.dtype)
    fail('data-type', `${at} takes ${input.dtype}, the array is ${value.dtype}`, `save it with .astype("${input.dtype}")`);
  if (input.shape && input.shape.length !== value.shape.length)
    fail(
      'data-rank',
      `${at} has ${input.shape.length} dimensions ${shown(input.shape)}, the array has ${value.shape.length} ${shown(value.shape)}`,
      input.shape.length === value.shape.length + 1 ? 'the batch dimension may be missing: save it with a[None]' : undefined,
    );
  value.shape.forEach((size, axis) => {
    const dim = input.shape?.[axis];
    if (typeof dim === 'number' && dim !== size)
      fail('data-shape', `${at} takes ${shown(input.shape)}, the array is ${shown(value.shape)}: dimension ${axis} must be ${dim}`);
    if (typeof dim !== 'string' || dim.startsWith('?')) return;
    const before = sizes.get(dim);
    if (before && before.size !== size)
      fail('data-shape', `${at} has ${dim} = ${size}, but input "${before.input}" has ${dim} = ${before.size}`);
    sizes.set(dim, { size, input: input.name });
  });
  if (value.shape[0] === 0) fail('data-empty', `${at} has no rows: its shape is ${shown(value.shape)}`, 'leave the file out');
  if (isFloat(value.dtype) && floats(value).some(Number.isNaN)) fail('data-nan', `${at} holds NaN`, 'calibrate on clean data');
}
