import type { Crunch, Matrix } from '../crunch.ts';
import type { SolverOf } from '../define.ts';
import { toFloat32 } from '../graph/numeric.ts';
import { bool, choice, num, type Schema } from '../schema.ts';

const params = {
  damp: num({
    doc: 'Share of the mean diagonal by which weights are held where they were.',
    min: 0,
    max: 1,
    default: 0.01,
    aliases: ['dampening_frac', 'percdamp', 'damp_percent'],
  }),
  inputs: choice(['float', 'sequential'], {
    doc: 'Inputs of the float model, or those that went through the quantized blocks before.',
    default: 'sequential',
  }),
  within: choice(['block', 'layer'], {
    doc: 'Sequential inputs: layers of one block see each other in float, or quantized. In float each of them makes up for the same errors again.',
    default: 'layer',
  }),
  mask: bool({ doc: 'Weights that are zero stay zero.', default: true }),
} satisfies Schema;

/** 1 where the matrix is not zero, [out, reduce]; undefined where nothing is zero. */
async function maskOf({ data, dtype, out, reduce, order }: Matrix, crunch: Crunch): Promise<Uint8Array | undefined> {
  const w = toFloat32('float32', await crunch.cast(data, dtype, 'float32'));
  if (!w.includes(0)) return undefined;
  return Uint8Array.from({ length: w.length }, (_, i) => Number(w[order === 'or' ? i : (i % reduce) * out + Math.floor(i / reduce)] !== 0));
}

/** With inputs that quantized layers gave, the weights make up for what those lost; under a mask, for the weights that are gone. */
const solver: SolverOf<'weight', typeof params> = {
  name: 'least_squares',
  since: '0.4.0',
  doc: "Weights with the least error of the layer's output, by ridge regression toward what they were; then they are rounded, or given to a solver of codes. Weights that are zero stay zero.",
  formula: 'v_S = (H_SS + λ)⁻¹ (C w + λ w)_S, H = XᵀX, C = XᵀX_float',
  params,
  decides: 'weight',
  covers({ site }) {
    if (site.role !== 'linear') return `a ${site.role} is no matrix product of its input`;
    return site.graph === '' ? undefined : 'it lies in a subgraph, whose inputs cannot be observed from outside';
  },
  wants: (p) => ({ inputs: p.inputs === 'float' ? 'float' : p.within, float: p.inputs !== 'float' }),
  async solve({ matrix, hessian, cross, crunch }, p) {
    const mask = p.mask ? await maskOf(matrix, crunch) : undefined;
    const r = await crunch.leastSquares({ weight: matrix, hessian, damp: p.damp, ...(cross ? { cross } : {}), ...(mask ? { mask } : {}) });
    const gone = mask ? `, ${matrix.out * matrix.reduce - r.free} weights stay zero` : '';
    return { weight: r.weight, note: `loss lower by ${(r.before - r.after).toPrecision(4)}${gone}` };
  },
};
export default solver;
