import type { Role } from '../define.ts';
import { activation, type Draft, type Found } from '../match/draft.ts';
import { findResiduals } from '../match/stream.ts';

/** What a residual stream is added to: f in x + f(x). */
const branch: Role = {
  name: 'branch',
  since: '0.1.0',
  doc: 'A branch beside a residual stream, from the value that it reads to the one that is added.',
  params: {},
  ports: ['input', 'output'],
  after: ['linear', 'conv', 'norm', 'activation', 'softmax', 'embedding', 'attention', 'ssm'],
  match(v, known): Found {
    const weights = [...known.of('linear'), ...known.of('conv')];
    const owner = new Map(weights.flatMap((d) => d.nodes.map((n) => [n, d] as const)));
    const drafts = findResiduals(v, known).map((r): Draft => {
      const parts = [...new Set(r.nodes.map((n) => owner.get(n)).filter((d) => d !== undefined))];
      return {
        role: 'branch',
        ports: { input: activation(v, 'input', r.from), output: activation(v, 'output', r.branch) },
        nodes: r.nodes,
        form: 'x+f(x)',
        facts: { sum: r.add.outputs[0]! },
        size: 0,
        parts,
      };
    });
    return { drafts, misses: [] };
  },
};
export default branch;
