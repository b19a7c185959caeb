import { fail } from '../../grammar/diagnostics.ts';
import type { OrthogonalMatrix, Transform } from '../define.ts';
import { type Choice, type Chosen, composed, type Evidence, klt, learn, logQsur, rangeNorm } from '../fold/learn.ts';
import { rotateOnline } from '../fold/online.ts';
import { refuse } from '../fold/refuse.ts';
import { type Rotation, signs } from '../fold/rotation.ts';
import { headOf, rotateEdge, rotateStream } from '../fold/stream.ts';
import { matrices } from '../matrices/index.ts';
import { bool, choice, expression, int, num, type Ref, ref } from '../schema.ts';
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
  select: expression({
    doc: 'What chooses among restarts: kl_top(1000) or another objective on an output, by the model rounded to nearest; qsur or range_pnorm(10), by the rows that the matrix turns.',
    optional: true,
  }),
  restarts: int({
    doc: 'With `select`: starts that are tried; behind the first, signs drawn at random stand before the matrix.',
    min: 1,
    max: 64,
    default: 3,
  }),
  holdout: num({ doc: 'Share of the data that only decides when learning stops.', min: 0, max: 0.9, default: 0.5 }),
};

const all = matrices as unknown as readonly OrthogonalMatrix[];

/** The matrix of a name, or the product of two; behind the first restart, with random signs before it (the last one of a product). */
async function make(name: Ref, size: number, evidence: () => Promise<Evidence>, restart: number): Promise<Rotation> {
  if (name.name === 'product')
    return composed(
      await make(name.args['left'] as Ref, size, evidence, 0),
      await make(name.args['right'] as Ref, size, evidence, restart),
    );
  const def = all.find((m) => m.name === name.name);
  if (!def) throw new Error(`${name.name} is no matrix that is built`);
  const args = Object.fromEntries(Object.entries(def.params).map(([k, x]) => [k, name.args[k] ?? x.default])) as never;
  const from = def.from?.(args);
  const matrix = from
    ? await klt(await evidence(), from, size)
    : (def.make(size, args) ?? refuse('no-matrix', `there is no ${def.name} matrix of size ${size} here`));
  return restart === 0 ? matrix : composed(signs(size, restart), matrix);
}

/** Smaller is better; undefined: it is measured on the model, not on rows. */
function rowJudge({ name, args }: Ref): ((e: Evidence, r: Rotation, n: number) => Promise<number>) | undefined {
  if (name === 'qsur') return async (e, r, n) => -(await logQsur(e, r, n));
  if (name === 'range_pnorm') return (e, r, n) => rangeNorm(e, r, n, Number(args['p'] ?? 10));
  return undefined;
}

const transform: Transform<typeof params> = {
  name: 'rotate',
  since: '0.1.0',
  doc: 'An orthogonal map. On `residual`: gains of norms move into their readers, every writer, reader and the embedding turn; where LayerNorms read it, the matrix keeps the mean. On `attention.v -> attention.output { per: head }`: inside each head. It folds, or is refused; `online: yes` on an edge is an operator at run time.',
  cite: 'Ashkboos et al., QuaRot, 2024 (arXiv:2404.00456); Hu et al., OSTQuant, 2025 (arXiv:2501.13987)',
  formula: "x' = x R, W' = Rᵀ W, R Rᵀ = 1",
  params,
  stage: (on) => (on.edges ? 6 : 0),
  async apply(job, p) {
    const fixed = new Map<number, Rotation>();
    const learning = p.learn as Ref | undefined;
    if (learning && learning.name !== 'cayley')
      fail('not-a-learner', `\`${learning.name}\` learns no rotations.`, 'Use cayley(steps: 80).');
    const aim = p.objective as Ref | undefined;
    if (aim && aim.name !== 'range_pnorm') fail('not-a-learner', `\`${aim.name}\` has no gradient here.`, 'Use range_pnorm(10).');
    const select = p.select as Ref | undefined;
    const judge = select && rowJudge(select);
    const choose: Choice = async (size, evidence): Promise<Chosen> => {
      let seen: Promise<Evidence> | undefined;
      const look = () => {
        seen ??= evidence();
        return seen;
      };
      const from = async (restart: number): Promise<Chosen> => {
        const start = fixed.get(restart * 1e6 + size) ?? (await make(p.matrix, size, look, restart));
        if (!seen) fixed.set(restart * 1e6 + size, start);
        if (!learning) return { rotation: start };
        const steps = Number(learning.args['steps'] ?? 80);
        const { rotation, note } = await learn(await look(), start, { steps, p: Number(aim?.args['p'] ?? 10), holdout: p.holdout });
        const [before, after] = [await logQsur(await look(), undefined, size), await logQsur(await look(), rotation, size)];
        return { rotation, note: `${note}; log QSUR a channel ${before.toFixed(2)} → ${after.toFixed(2)}` };
      };
      if (!judge) return from(job.restart);
      let best: { chosen: Chosen; value: number; restart: number } | undefined;
      for (let restart = 0; restart < p.restarts; restart++) {
        const chosen = await from(restart);
        const value = await judge(await look(), chosen.rotation, size);
        if (!best || value < best.value) best = { chosen, value, restart };
      }
      const { chosen, restart } = best!;
      return { ...chosen, note: `${chosen.note ? `${chosen.note}; ` : ''}restart ${restart} of ${p.restarts} by ${select.name}` };
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
