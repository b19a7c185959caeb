import type { OrthogonalMatrix, Transform } from '../define.ts';
import { rotateOnline } from '../fold/online.ts';
import { refuse } from '../fold/refuse.ts';
import type { Rotation } from '../fold/rotation.ts';
import { headOf, rotateEdge, rotateStream } from '../fold/stream.ts';
import { matrices } from '../matrices/index.ts';
import { bool, choice, expression, num, ref } from '../schema.ts';
import type { Site } from '../sites.ts';

const params = {
  matrix: ref('matrix', { doc: 'Which orthogonal matrix.', default: { name: 'hadamard', args: {} } }),
  per: choice(['tensor', 'head'], { doc: 'On an edge: one block for the whole width, or one for each head.', default: 'tensor' }),
  online: bool({
    doc: 'On an edge: computed at run time in front of the linears that it ends in, for where nothing before takes it.',
    default: false,
  }),
  init: ref('matrix', { doc: 'Where learning starts. Planned.', optional: true }),
  learn: ref('solver', { doc: 'How the matrix is learnt. Planned.', optional: true }),
  objective: expression({ doc: 'What learning lowers. Planned.', optional: true }),
  select: expression({ doc: 'What chooses among learnt matrices. Planned.', optional: true }),
  holdout: num({ doc: 'Share of the data kept for early stopping. Planned.', min: 0, max: 0.9, optional: true }),
};

const transform: Transform<typeof params> = {
  name: 'rotate',
  since: '0.1.0',
  doc: 'An orthogonal map. On `residual`: gains of RMSNorms move into their readers, every writer, reader and the embedding turn. On `attention.v -> attention.output { per: head }`: inside each head. It folds, or is refused; `online: yes` on an edge is an operator at run time.',
  cite: 'Ashkboos et al., QuaRot, 2024 (arXiv:2404.00456)',
  formula: "x' = x R, W' = Rᵀ W, R Rᵀ = 1",
  params,
  later: ['init', 'learn', 'objective', 'select', 'holdout'],
  stage: (on) => (on.edges ? 6 : 0),
  async apply(job, p) {
    const def = (matrices as unknown as readonly OrthogonalMatrix[]).find((m) => m.name === p.matrix.name);
    if (!def) throw new Error(`${p.matrix.name} is no matrix that is built`);
    const args = Object.fromEntries(Object.entries(def.params).map(([k, x]) => [k, p.matrix.args[k] ?? x.default]));
    const made = new Map<number, Rotation>();
    const rotationOf = (size: number): Rotation => {
      const r =
        made.get(size) ?? def.make(size, args as never) ?? refuse('no-matrix', `there is no ${def.name} matrix of size ${size} here`);
      made.set(size, r);
      return r;
    };
    const byReader = new Map<Site, Site[]>();
    for (const e of job.edges) byReader.set(e.from, [...(byReader.get(e.from) ?? []), e.to]);
    if (p.online) {
      const size = (width: number, first: Site) => (p.per === 'head' ? headOf(job, first) : width);
      rotateOnline(job, [...new Set(job.edges.map((e) => e.to))], size, rotationOf);
    } else for (const [from, to] of byReader) rotateEdge(job, from, to, p.per, rotationOf);
    const streams = job.picked.filter((s) => s.role === 'residual');
    if (byReader.size === 0 && streams.length === 0) refuse('no-producer', 'no residual stream is selected: rotate an edge, or `residual`');
    for (const s of streams) await rotateStream(job, s, rotationOf);
  },
};
export default transform;
