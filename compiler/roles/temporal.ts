import type { Role } from '../define.ts';
import type { Node } from '../graph/types.ts';
import { activation, type Draft, type Found, type Known, type Tag } from '../match/draft.ts';
import { MOVES, seekForward } from '../match/trace.ts';
import { typeOf, type View } from '../match/view.ts';

/** A graph input of one number a sample that goes into sines and cosines: the step of a diffusion model. */
function isTimestep(v: View, input: string): boolean {
  const shape = v.shape(input);
  if (!shape || shape.length > 1) return false;
  const via = new Set([...MOVES, 'Mul', 'Div', 'Add', 'Sub', 'MatMul']);
  const reaches = (op: string) => seekForward(v, input, via, (n) => typeOf(n) === op) !== undefined;
  return reaches('Sin') && reaches('Cos');
}

/** The graph inputs that each value depends on; what only shapes say does not count. */
function ancestry(v: View): Map<string, ReadonlySet<string>> {
  const out = new Map<string, ReadonlySet<string>>();
  for (const i of v.graph.inputs) if (v.isInput(i.name)) out.set(i.name, new Set([i.name]));
  const none: ReadonlySet<string> = new Set();
  for (const n of v.graph.nodes) {
    if (typeOf(n) === 'Shape') continue;
    const sets = n.inputs.map((i) => out.get(i) ?? none).filter((s) => s.size > 0);
    const [first = none, ...others] = sets;
    const all = others.every((s) => s === first) ? first : new Set(sets.flatMap((s) => [...s]));
    if (all.size > 0) for (const o of n.outputs) out.set(o, all);
  }
  return out;
}

function region(v: View, known: Known, t: string, nodes: readonly Node[]): Draft {
  const inside = new Set(nodes);
  const leaving = nodes
    .flatMap((n) => n.outputs)
    .filter((o) => v.isOutput(o) || v.consumers(o).some((c) => !inside.has(c) && typeOf(c) !== 'Shape'));
  const weights = [...known.of('linear'), ...known.of('conv')].filter((d) => inside.has(d.nodes.at(-1)!));
  const outputs = leaving.map((value, i) => activation(v, i === 0 ? 'output' : `output.${i}`, value));
  return {
    role: 'temporal',
    ports: { input: activation(v, 'input', t), ...Object.fromEntries(outputs.map((p) => [p.name, p])) },
    nodes,
    form: 'ancestors of the step alone',
    facts: { step: t },
    size: 0,
    parts: weights,
  };
}

/** What depends on the step of a diffusion model and on nothing else, so that a table over the steps can replace it. */
const temporal: Role = {
  name: 'temporal',
  since: '0.1.0',
  doc: 'The part of a diffusion model that has the timestep as its only input. Sites that depend on the step and on other per-sample inputs (a class) are members `conditioning`.',
  params: {},
  ports: ['input', 'output'],
  members: ['temporal', 'conditioning'],
  after: ['linear', 'conv', 'norm', 'activation', 'embedding'],
  match(v, known): Found {
    const drafts: Draft[] = [];
    const tags: Tag[] = [];
    const steps = v.graph.inputs.map((i) => i.name).filter((i) => v.isInput(i) && isTimestep(v, i));
    if (steps.length === 0) return { drafts, misses: [] };
    const from = ancestry(v);
    const small = new Set(v.graph.inputs.filter((i) => (i.shape?.length ?? 2) <= 1).map((i) => i.name));
    for (const t of steps) {
      const only = (n: Node) => n.outputs.some((o) => from.get(o)?.size === 1 && from.get(o)?.has(t));
      const mixed = (n: Node) => n.outputs.some((o) => from.get(o)?.has(t) && [...from.get(o)!].every((i) => small.has(i)));
      const nodes = v.graph.nodes.filter(only);
      drafts.push(region(v, known, t, nodes));
      for (const on of ['linear', 'conv', 'norm', 'activation'].flatMap((r) => known.of(r))) {
        const last = on.nodes.at(-1)!;
        if (only(last)) tags.push({ on, member: 'temporal' });
        else if (mixed(last)) tags.push({ on, member: 'conditioning' });
      }
    }
    return { drafts, misses: [], tags };
  },
};
export default temporal;
