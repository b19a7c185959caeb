import type { Role } from '../define.ts';
import { activation, type Draft, type Found, type Tag } from '../match/draft.ts';
import { findResiduals, streamBehind, writers } from '../match/stream.ts';

/** Residual streams, from the value that starts one to its last sum. */
const residual: Role = {
  name: 'residual',
  since: '0.1.0',
  doc: 'A stream of values that only grow by additions. Members: the linears that read it (also through norms) and that write it.',
  formula: "x' = x + f(x)",
  params: {},
  ports: ['input', 'output'],
  members: ['residual.reader', 'residual.writer'],
  after: ['linear', 'conv', 'norm', 'activation', 'softmax', 'embedding', 'attention', 'ssm'],
  match(v, known): Found {
    const residuals = findResiduals(v, known);
    const streams = new Map<string, number>();
    const tags: Tag[] = [];
    const drafts: Draft[] = [];
    for (const id of new Set(residuals.map((r) => r.stream))) {
      const sums = residuals.filter((r) => r.stream === id);
      const values = [sums[0]!.skip, ...sums.map((r) => r.add.outputs[0]!)];
      for (const value of values) streams.set(value, id);
      // a gate that does not depend on the stream (adaLN) scales what is written, it does not write
      const own = sums.flatMap((r) => writers(v, known, r.branch).filter((d) => r.nodes.includes(d.nodes.at(-1)!)));
      const written = new Set([...writers(v, known, sums[0]!.skip), ...own]);
      tags.push(...[...written].map((on) => ({ on, member: 'residual.writer' })));
      drafts.push({
        role: 'residual',
        ports: { input: activation(v, 'input', values[0]!), output: activation(v, 'output', values.at(-1)!) },
        nodes: sums.map((r) => r.add),
        form: 'Add',
        facts: { sums: sums.length },
        size: 0,
      });
    }
    for (const on of [...known.of('linear'), ...known.of('conv')]) {
      if (streamBehind(v, known, on.ports['input']!.value, streams) !== undefined) tags.push({ on, member: 'residual.reader' });
    }
    return { drafts, misses: [], tags };
  },
};
export default residual;
