import { fail } from '../../grammar/diagnostics.ts';
import type { Order, Transform } from '../define.ts';
import { type Ordering, ofEdge, ofRecurrence, permuteChannels } from '../fold/permute.ts';
import { refuse } from '../fold/refuse.ts';
import { orders } from '../orders/index.ts';
import { ref } from '../schema.ts';

const params = {
  law: ref('law', { doc: 'Which order: sort_cluster(heads: 4, channels: 4), or sort.', default: { name: 'sort', args: {} } }),
};

function lawOf(name: string): Order {
  const found = (orders as unknown as readonly Order[]).find((o) => o.name === name);
  return found ?? fail('not-an-order', `\`${name}\` orders no channels.`, `Use ${orders.map((o) => o.name).join(', ')}.`);
}

const transform: Transform<typeof params> = {
  name: 'permute',
  since: '0.4.0',
  doc: 'Reorders channels so that similar ones share a scale. On `ssm.x` the order goes through in_proj, convolution, A, D, dt, gate, norm and out_proj, and heads change places; on an edge it stays between two linears, or inside the heads of value and output. Weights, constants and caches take it in: nothing is gathered at run time.',
  cite: 'Chiang et al., Quamba2, 2025 (arXiv:2503.22879)',
  formula: "x'_i = x_π(i); rows of producers and columns of readers by π",
  params,
  stage: () => 3,
  async apply(job, p) {
    const law = lawOf(p.law.name);
    const args = Object.fromEntries(Object.entries(law.params).map(([k, x]) => [k, p.law.args[k] ?? x.default])) as never;
    const found = new Map<string, Ordering>();
    for (const e of job.edges) {
      const o = ofEdge(job, e.from, e.to);
      found.set(o.value, o);
    }
    for (const s of job.picked) {
      const ssm = s.role === 'ssm' ? s : job.sites.find((x) => x.role === 'ssm' && x.block === s.block && s.members.includes('ssm.input'));
      if (!ssm) refuse('no-producer', `${s.path} is no recurrence and feeds none: select \`ssm.x\`, or an edge`);
      found.set(ssm!.ports['x']!.value, ofRecurrence(ssm!));
    }
    for (const o of found.values()) await permuteChannels(job, o, (q) => law.order(q, args));
  },
};
export default transform;
