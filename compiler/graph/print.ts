/** A graph as text, one line a node: for `--dump`, for snapshots that are reviewed like code. No offsets and no bytes, so equal graphs give equal texts. */
import { elements } from './dtype.ts';
import { smallValues } from './numeric.ts';
import type { Attr, Dim, DType, Func, Graph, Model, Node, Tensor, ValueInfo } from './types.ts';
import { subgraphs } from './walk.ts';

/** The whole model: header, weights, nodes, functions. */
export function printModel(m: Model): string {
  const opsets = [...m.opsets].map(([domain, version]) => `${domain || 'onnx'} ${version}`).join(', ');
  const made = [m.producer, m.producerVersion].filter((s) => s !== '').join(' ');
  return [
    `model ir ${m.irVersion}, opset ${opsets}${made === '' ? '' : `, by ${made}`}`,
    ...[...m.metadata].map(([k, v]) => `  metadata ${k}: ${v.length > 80 ? `${v.slice(0, 77)}…` : v}`),
    ...printGraph(m.graph, ''),
    ...m.functions.flatMap(printFunction),
    '',
  ].join('\n');
}

function printGraph(g: Graph, indent: string): string[] {
  const inner = `${indent}  `;
  return [
    `${indent}graph ${g.name}`,
    ...g.inputs.map((v) => `${inner}input ${v.name}: ${typeText(v)}`),
    ...[...g.initializers].map(([name, t]) => `${inner}weight ${name}: ${tensorText(t)}`),
    ...g.nodes.flatMap((n) => printNode(n, (name) => g.values.get(name) ?? g.outputs.find((o) => o.name === name), inner)),
    ...g.outputs.map((v) => `${inner}output ${v.name}: ${typeText(v)}`),
  ];
}

function printFunction(f: Func): string[] {
  const name = f.domain === '' ? f.name : `${f.domain}::${f.name}`;
  const attributes = [...f.attributes, ...[...f.defaults].map(([k, a]) => `${k} = ${attrText(a)}`)];
  return [
    `function ${name}(${f.inputs.join(', ')})${attributes.length > 0 ? ` {${attributes.join(', ')}}` : ''} → ${f.outputs.join(', ')}`,
    ...f.nodes.flatMap((n) => printNode(n, (v) => f.values.get(v), '  ')),
  ];
}

/** `out: type = Op(inputs) {attributes}  # name`, then the subgraphs. */
export function printNode(n: Node, info: (name: string) => ValueInfo | undefined, indent = ''): string[] {
  const outputs = n.outputs.map((o) => (o === '' ? '_' : `${o}: ${typeText(info(o) ?? { name: o })}`)).join(', ');
  const attrs = [...n.attrs].filter(([, a]) => a.type !== 'graph' && a.type !== 'graphs').map(([k, a]) => `${k}: ${attrText(a)}`);
  const op = n.domain === '' ? n.op : `${n.domain}::${n.op}`;
  const named = n.name === '' ? '' : `  # ${n.name}`;
  const line = `${indent}${outputs} = ${op}(${n.inputs.map((i) => i || '_').join(', ')})${attrs.length > 0 ? ` {${attrs.join(', ')}}` : ''}${named}`;
  const below = [...subgraphs(n)].flatMap((s) => [`${indent}  ${s.attr}:`, ...printGraph(s.graph, `${indent}    `)]);
  return [line, ...below];
}

const typeText = (v: { dtype?: DType; shape?: readonly Dim[] }): string =>
  `${v.dtype ?? '?'}${v.shape === undefined ? '[…]' : `[${v.shape.map(dimText).join(', ')}]`}`;

/** Symbols of inference are all alike to a reader. */
const dimText = (d: Dim): string => (typeof d === 'string' && d.startsWith('?') ? '?' : String(d));

/** Elements up to this many are printed. */
const SHOWN = 8;

function tensorText(t: Tensor): string {
  const type = `${t.dtype}[${t.shape.join(', ')}]`;
  if (t.source.kind === 'lazy') return `${type} ← ${t.source.lazy.key}.${t.source.lazy.part}`;
  const values = elements(t.shape) <= SHOWN ? smallValues(t, SHOWN) : undefined;
  return values === undefined ? type : `${type} (${values.map((v) => elementText(v, t.dtype)).join(', ')})`;
}

/** The ends of int64 stand for "to the end" in slices; a float64 cannot hold them. */
function elementText(v: number, dtype: DType): string {
  if (dtype === 'int64' && Math.abs(v) >= 2 ** 63) return v > 0 ? 'max' : 'min';
  return numberText(v, dtype === 'float32');
}

/** float32 in the fewest digits that give it back. */
function numberText(v: number, single = true): string {
  if (!single || Number.isInteger(v) || !Number.isFinite(v)) return String(v);
  for (let digits = 6; digits <= 9; digits++) {
    const short = Number(v.toPrecision(digits));
    if (Math.fround(short) === v) return String(short);
  }
  return String(v);
}

function attrText(a: Attr): string {
  switch (a.type) {
    case 'int':
      return String(a.value);
    case 'float':
      return numberText(a.value);
    case 'ints':
      return `[${a.value.join(', ')}]`;
    case 'floats':
      return `[${a.value.map((v) => numberText(v)).join(', ')}]`;
    case 'string':
      return JSON.stringify(a.value);
    case 'strings':
      return JSON.stringify(a.value);
    case 'tensor':
      return tensorText(a.value);
    case 'ref':
      return `@${a.ref}`;
    case 'graph':
    case 'graphs':
    case 'opaque':
      return '…';
  }
}
