import type { Role } from '../define.ts';
import { type Draft, type Found, type Known, miss, type Tag } from '../match/draft.ts';
import { seekBack } from '../match/trace.ts';
import { typeOf, type View } from '../match/view.ts';
import type { Miss } from '../sites.ts';

const VIEWS = new Set(['Reshape', 'Cast', 'Identity', 'Dropout', 'Squeeze', 'Unsqueeze', 'Transpose']);
const PARTS = new Set([...VIEWS, 'Split', 'Slice', 'Gather']);

/** The site of a role that yields a value, seen through views. */
function behind(v: View, known: Known, value: string, role: string, via: ReadonlySet<string>): Draft | undefined {
  const at = (x: string) => [known.yielding(x)].find((d) => d?.role === role);
  return at(value) ?? at(seekBack(v, value, via, (_, x) => at(x) !== undefined)?.value ?? '');
}

interface Parts {
  readonly up: Draft;
  readonly gate?: Draft;
  readonly act: Draft;
  readonly product?: string;
}

/** What feeds `down`: act(up), or act(gate) · up. */
function inside(v: View, known: Known, down: Draft): Parts | string | undefined {
  const input = down.ports['input']!.value;
  const act = behind(v, known, input, 'activation', VIEWS);
  if (act) {
    const up = behind(v, known, act.ports['input']!.value, 'linear', VIEWS);
    return up && { up, act };
  }
  const found = seekBack(v, input, VIEWS, (n) => typeOf(n) === 'Mul');
  if (!found) return undefined;
  for (const i of [0, 1]) {
    const gated = behind(v, known, found.node.inputs[i]!, 'activation', VIEWS);
    if (!gated) continue;
    const gate = behind(v, known, gated.ports['input']!.value, 'linear', PARTS);
    const up = behind(v, known, found.node.inputs[1 - i]!, 'linear', PARTS);
    if (gate && up) return { up, gate, act: gated, product: found.node.outputs[0]! };
    if (gate) return 'what its gate multiplies is not a linear';
  }
  return undefined;
}

function draft(v: View, down: Draft, p: Parts): Draft {
  const gate = p.gate ?? p.up;
  const linears = [...new Set([gate, p.up, down])];
  const between = p.product === undefined ? [] : [v.producer(p.product)!];
  const nodes = [...new Set([...linears.flatMap((d) => d.nodes), ...p.act.nodes, ...between])].sort((a, b) => v.order(a) - v.order(b));
  return {
    role: 'mlp',
    ports: {
      input: { ...p.up.ports['input']!, name: 'input' },
      hidden: { ...down.ports['input']!, name: 'hidden' },
      output: { ...down.ports['output']!, name: 'output' },
    },
    nodes,
    form: p.gate ? (p.gate === p.up ? 'gate_up+down' : 'gate+up+down') : 'up+down',
    facts: { activation: p.act.facts['kind']!, gated: p.gate !== undefined, hidden: down.facts['in']! },
    size: 0,
    parts: linears,
  };
}

/** Two linears around an activation, gated or not. */
const mlp: Role = {
  name: 'mlp',
  since: '0.1.0',
  doc: 'down(act(up(x))) or down(act(gate(x)) · up(x)). Its linears are members.',
  params: {},
  ports: ['input', 'hidden', 'output'],
  members: ['mlp.gate', 'mlp.up', 'mlp.down'],
  after: ['linear', 'activation'],
  match(v, known): Found {
    const drafts: Draft[] = [];
    const misses: Miss[] = [];
    const tags: Tag[] = [];
    for (const down of known.of('linear')) {
      const parts = inside(v, known, down);
      if (typeof parts === 'string') misses.push(miss('mlp', down.nodes.at(-1)!, parts));
      if (!parts || typeof parts === 'string') continue;
      drafts.push(draft(v, down, parts));
      if (parts.gate) tags.push({ on: parts.gate, member: 'mlp.gate' });
      tags.push({ on: parts.up, member: 'mlp.up' }, { on: down, member: 'mlp.down' });
    }
    return { drafts, misses, tags };
  },
};
export default mlp;
