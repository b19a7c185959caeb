import type { SolverOf } from '../define.ts';
import { bool, choice, int, num } from '../schema.ts';
import { unlike } from '../simulate/unfold.ts';
import { asked, decided } from './_layer.ts';

const params = {
  block: int({
    doc: 'Columns that are worked on together: a matter of speed, it changes no number.',
    min: 1,
    max: 65536,
    default: 128,
    aliases: ['block_size'],
  }),
  damp: num({
    doc: 'Share of the mean diagonal that is added to the Hessian; ten times as much each time that it has no Cholesky factor.',
    min: 0,
    max: 1,
    default: 0.01,
    aliases: ['dampening_frac', 'percdamp', 'damp_percent'],
  }),
  order: choice(['natural', 'hessian'], {
    doc: 'Which column is rounded first: the first, or the one with the largest inputs.',
    default: 'natural',
    aliases: ['actorder'],
  }),
  static_groups: bool({
    doc: 'Scales of groups come from the float weights; else from the weights as they are when the sweep reaches the group (natural order only).',
    default: true,
  }),
  cd: int({ doc: 'Rounds of coordinate descent on the codes after the sweep.', min: 0, max: 100, default: 0 }),
  rescale: bool({ doc: 'Least-squares scales under the codes, before and after each round of descent.', default: false }),
  inputs: choice(['float', 'sequential'], {
    doc: 'Inputs of the float model, or those that went through the quantized blocks before.',
    default: 'sequential',
  }),
  within: choice(['block', 'layer'], {
    doc: 'Sequential inputs: layers of one block see each other in float (one pass a block), or quantized (a pass for each layer). Where it is not given: layer with `target: float`, whose corrections would add up along a block that sees none of them; else block.',
    optional: true,
  }),
  target: choice(['inputs', 'float'], {
    doc: 'What the layer shall give: what its float weights give on the same inputs, or what they give in the float model, which also makes up for the layers before.',
    default: 'inputs',
  }),
};

/** Codes that lower the error of a layer's output, by one sweep over its columns and, if asked, descent and rescaling after it. */
const solver: SolverOf<'codes', typeof params> = {
  name: 'gptq',
  since: '0.1.0',
  doc: 'Rounds column by column and moves the error into the columns that are left.',
  formula: 'min Σ (w − ŵ)·H·(w − ŵ)ᵀ, H = XᵀX + λI = L·Lᵀ; ŵ_i = round(w_i + Σ_{j>i} (w_j − ŵ_j)·L_ji / L_ii)',
  cite: 'Frantar et al., GPTQ, 2022 (arXiv:2210.17323); as nearest plane: Chen et al., 2025 (arXiv:2507.18553)',
  params,
  decides: 'codes',
  covers({ type, site }, p) {
    const { codes, grain } = type;
    if (codes?.kind !== 'int' || codes.bits > 8) return `${type.text} has no integer codes of at most 8 bits`;
    if (grain.per !== 'channel' && grain.per !== 'group') return `${type.text} has no scale for each channel or group`;
    if (type.scaleType !== 'model' && type.scaleType !== 'int8') return `its scales are of type ${type.scaleType}`;
    const conv = site.role === 'conv' ? unlike(site) : undefined;
    if (conv) return conv;
    if (site.role !== 'linear' && site.role !== 'conv') return `a ${site.role} is no matrix product of its input`;
    if (site.graph !== '') return 'it lies in a subgraph, whose inputs cannot be observed from outside';
    if (p.order === 'hessian' && !p.static_groups && grain.per === 'group')
      return 'columns in the order of the Hessian need static groups: ONNX has no index of groups';
    return undefined;
  },
  wants: ({ inputs, within, target }) => ({
    inputs: inputs === 'float' ? 'float' : ((within as 'block' | 'layer' | undefined) ?? (target === 'float' ? 'layer' : 'block')),
    float: target === 'float',
  }),
  async solve(layer, p) {
    const r = await layer.crunch.solve({
      ...asked(layer),
      damp: p.damp,
      order: p.order,
      staticGroups: p.static_groups,
      block: p.block,
      descents: p.cd,
      rescale: p.rescale,
    });
    const dead = r.dead ? `, ${r.dead} inputs never used` : '';
    return decided(r, `loss ${r.loss.toPrecision(4)}, damping ${r.damping.toPrecision(3)}${dead}`);
  },
};
export default solver;
