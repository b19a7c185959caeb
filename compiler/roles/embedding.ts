import type { Role } from '../define.ts';
import { elements, isFloat } from '../graph/dtype.ts';
import type { Node } from '../graph/types.ts';
import { activation, type Draft, type Found, miss, type Tag } from '../match/draft.ts';
import { attrInt, typeOf, type View } from '../match/view.ts';
import type { Miss } from '../sites.ts';

const RESHAPES = new Set(['Unsqueeze', 'Squeeze', 'Reshape', 'Cast', 'Identity', 'Concat', 'Slice', 'Transpose', 'Expand']);

/** The rows only scale other values: a rotary cos/sin table, not an embedding. */
function onlyScales(v: View, value: string, depth = 6): boolean {
  const readers = v.consumers(value);
  if (readers.length === 0 || v.isOutput(value) || depth === 0) return false;
  return readers.every((n) => {
    if (typeOf(n) === 'Shape') return true;
    if (RESHAPES.has(typeOf(n))) return n.outputs.every((o) => onlyScales(v, o, depth - 1));
    return typeOf(n) === 'Mul' && !v.constant(n.inputs[n.inputs[0] === value ? 1 : 0] ?? '');
  });
}

/** cos and sin: two tables of one shape, looked up by the same ids (or two halves of one), whose rows only scale. */
function isRotary(v: View, n: Node): boolean {
  const rows = n.outputs[0]!;
  if (!onlyScales(v, rows)) return false;
  if (v.consumers(rows).some((c) => ['Split', 'Slice'].includes(typeOf(c)))) return true;
  const shape = v.constant(n.inputs[0]!)!.tensor.shape.join();
  const twin = (k: Node) => k !== n && k.inputs[1] === n.inputs[1] && v.constant(k.inputs[0]!)?.tensor.shape.join() === shape;
  return v.nodes('Gather').some((k) => twin(k) && onlyScales(v, k.outputs[0]!));
}

function lookup(v: View, n: Node): Draft | string {
  const [table = '', ids = ''] = n.inputs;
  const c = v.constant(table);
  if (!c || !isFloat(c.tensor.dtype) || c.tensor.shape.length !== 2) return '';
  if (v.numbers(ids) || v.constant(ids)) return '';
  const axis = attrInt(n, 'axis', 0);
  if (axis !== 0) return `it looks up along axis ${axis}, not 0`;
  if (isRotary(v, n)) return 'its rows only scale other values (a rotary table)';
  const rows = c.perm?.[0] ?? 0;
  return {
    role: 'embedding',
    ports: {
      weight: { name: 'weight', kind: 'weight', value: c.name, shape: c.tensor.shape, axes: { out: rows, reduce: 1 - rows } },
      output: activation(v, 'output', n.outputs[0]!),
    },
    nodes: [...c.via, n],
    form: 'Gather',
    facts: { rows: c.tensor.shape[rows]!, hidden: c.tensor.shape[1 - rows]!, ids },
    size: elements(c.tensor.shape),
  };
}

/** The linears that turn hidden states into scores of an embedding's rows: they share its table, or yield as many outputs of the graph. */
function heads(v: View, tables: readonly Draft[], linears: readonly Draft[]): Tag[] {
  const shares = (l: Draft, t: Draft) =>
    l.ports['weight']!.value === t.ports['weight']!.value ||
    (v.isOutput(l.ports['output']!.value) && l.facts['out'] === t.facts['rows'] && l.facts['in'] === t.facts['hidden']);
  return linears.filter((l) => tables.some((t) => shares(l, t))).map((on) => ({ on, member: 'head' }));
}

/** A table whose rows are looked up by integer ids. */
const embedding: Role = {
  name: 'embedding',
  since: '0.1.0',
  doc: 'A constant table whose rows are looked up by ids: Gather. A linear that uses the same table has the fact `tied_weight`.',
  params: {},
  ports: ['weight', 'output'],
  members: ['head'],
  after: ['linear'],
  match(v, known): Found {
    const drafts: Draft[] = [];
    const misses: Miss[] = [];
    for (const n of v.nodes('Gather')) {
      const found = lookup(v, n);
      if (typeof found !== 'string') drafts.push(found);
      else if (found !== '') misses.push(miss('embedding', n, found));
    }
    return { drafts, misses, tags: heads(v, drafts, known.of('linear')) };
  },
};
export default embedding;
