/** Functions of selections: `path("…")`, `block(0..3)`. */
import { either, int, range, type Schema, selection, str } from '../schema.ts';

export interface Selector {
  readonly name: string;
  readonly doc: string;
  readonly params: Schema;
  readonly positional: readonly string[];
}
const named = (name: string, doc: string, what: string): Selector => ({
  name,
  doc,
  params: { name: str({ doc: what }) },
  positional: ['name'],
});

export const selectors: readonly Selector[] = [
  {
    name: 'path',
    doc: 'Sites by canonical module path: a glob (`*` within one name, `**` over several, `{a,b}`), or a fully anchored regular expression.',
    params: { glob: str({ doc: 'The glob.', optional: true }), re: str({ doc: 'The regular expression.', optional: true }) },
    positional: ['glob'],
  },
  {
    ...named('op', 'Sites with an ONNX operator of this type.', 'Type of the operator, such as MatMul.'),
    params: { type: str({ doc: 'Type of the operator, such as MatMul.' }) },
    positional: ['type'],
  },
  {
    name: 'block',
    doc: 'Sites of repeated blocks; negative numbers count from the end.',
    params: {
      range: either<unknown>([range({ doc: 'First and last.' }), int({ doc: 'One block.' })], {
        doc: 'Which blocks: `3`, `0..3`, `0..-1`.',
      }),
    },
    positional: ['range'],
  },
  named('input', 'Sites that read an input of the model; in a schedule, the input itself.', 'Name of the input.'),
  named('output', 'Sites that yield an output of the model; in a metric, the output itself.', 'Name of the output.'),
  named('graph', 'Sites of one graph, where a model is a folder of graphs.', 'Name of the graph.'),
  named('skip', 'Long skip connections by name.', 'Name of the connection.'),
  {
    name: 'optional',
    doc: 'A selection that may match nothing.',
    params: { of: selection({ doc: 'The selection.' }) },
    positional: ['of'],
  },
];
export const selectorOf: ReadonlyMap<string, Selector> = new Map(selectors.map((s) => [s.name, s]));
