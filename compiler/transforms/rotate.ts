import { fail } from '../../grammar/diagnostics.ts';
import type { OrthogonalMatrix, Transform } from '../define.ts';
import { type Choice, type Chosen, composed, type Evidence, klt, learn, logQsur } from '../fold/learn.ts';
import { rotateOnline } from '../fold/online.ts';
import { refuse } from '../fold/refuse.ts';
import type { Rotation } from '../fold/rotation.ts';
import { headOf, rotateEdge, rotateStream } from '../fold/stream.ts';
import { matrices } from '../matrices/index.ts';
import { bool, choice, expression, num, type Ref, ref } from '../schema.ts';
import type { Site } from '../sites.ts';

const params = {
  matrix: ref('matrix', {
    doc: 'Which orthogonal matrix, or a product of them: `klt * hadamard`.',
    default: { name: 'hadamard', args: {} },
    aliases: ['init'],
  }),
  per: choice(['tensor', 'head'], { doc: 'On an edge: one block for the whole width, or one for each head.', default: 'tensor' }),
  online: bool({
    doc: 'On an edge: computed at run time in front of the linears that it ends in, for where nothing before takes it.',
    default: false,
  }),
  learn: ref('solver', { doc: 'Learn it from there on calibration data: cayley(steps: 80).', optional: true }),
  objective: expression({ doc: 'What learning lowers: range_pnorm(10).', optional: true }),
  select: expression({ doc: 'What chooses among learnt matrices. Planned.', optional: true }),
  holdout: num({ doc: 'Share of the data that only decides when learning stops.', min: 0, max: 0.9, default: 0.5 }),
};

const all = matrices as unknown as readonly OrthogonalMatrix[];

/** The matrix of a name, or the product of two. */
async function make(name: Ref, size: number, evidence: () => Promise<Evidence>): Promise<Rotation> {
  if (name.name === 'product')
    return composed(await make(name.args['left'] as Ref, size, evidence), await make(name.args['right'] as Ref, size, evidence));
  const def = all.find((m) => m.name === name.name);
  if (!def) throw new Error(`${name.name} is no matrix that is built`);
  const args = Object.fromEntries(Object.entries(def.params).map(([k, x]) => [k, name.args[k] ?? x.default])) as never;
  const from = def.from?.(args);
  if (from) return klt(await evidence(), from, size);
  return def.make(size, args) ?? refuse('no-matrix', `there is no ${def.name} matrix of size ${size} here`);
}

const transform: Transform<typeof params> = {
  name: 'rotate',
  since: '0.1.0',
  doc: 'An orthogonal map. On `residual`: gains of norms move into their readers, every writer, reader and the embedding turn; where LayerNorms read it, the matrix keeps the mean. On `attention.v -> attention.output { per: head }`: inside each head. It folds, or is refused; `online: yes` on an edge is an operator at run time.',
  cite: 'Ashkboos et al., QuaRot, 2024 (arXiv:2404.00456); Hu et al., OSTQuant, 2025 (arXiv:2501.13987)',
  formula: "x' = x R, W' = Rᵀ W, R Rᵀ = 1",
  params,
  later: ['select'],
  stage: (on) => (on.edges ? 6 : 0),
  async apply(job, p) {
    const fixed = new Map<number, Rotation>();
    const learning = p.learn as Ref | undefined;
    if (learning && learning.name !== 'cayley')
      fail('not-a-learner', `\`${learning.name}\` learns no rotations.`, 'Use cayley(steps: 80).');
    const aim = p.objective as Ref | undefined;
    if (aim && aim.name !== 'range_pnorm') fail('not-a-learner', `\`${aim.name}\` has no gradient here.`, 'Use range_pnorm(10).');
    const choose: Choice = async (size, evidence): Promise<Chosen> => {
      let seen: Promise<Evidence> | undefined;
      const look = () => {
        seen ??= evidence();
        return seen;
      };
      const start = fixed.get(size) ?? (await make(p.matrix, size, look));
      if (!seen) fixed.set(size, start);
      if (!learning) return { rotation: start };
      const steps = Number(learning.args['steps'] ?? 80);
      const { rotation, note } = await learn(await look(), start, { steps, p: Number(aim?.args['p'] ?? 10), holdout: p.holdout });
      const [before, after] = [await logQsur(await look(), undefined, size), await logQsur(await look(), rotation, size)];
      return { rotation, note: `${note}; log QSUR a channel ${before.toFixed(2)} → ${after.toFixed(2)}` };
    };
    const byReader = new Map<Site, Site[]>();
    for (const e of job.edges) byReader.set(e.from, [...(byReader.get(e.from) ?? []), e.to]);
    if (p.online) {
      const size = (width: number, first: Site) => (p.per === 'head' ? headOf(job, first) : width);
      await rotateOnline(job, [...new Set(job.edges.map((e) => e.to))], size, choose);
    } else for (const [from, to] of byReader) await rotateEdge(job, from, to, p.per, choose);
    const streams = job.picked.filter((s) => s.role === 'residual');
    if (byReader.size === 0 && streams.length === 0) refuse('no-producer', 'no residual stream is selected: rotate an edge, or `residual`');
    for (const s of streams) await rotateStream(job, s, choose);
  },
};
export default transform;
