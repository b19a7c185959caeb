import type { SolverOf } from '../define.ts';
import { choice, expression, int, num, type Schema } from '../schema.ts';
import { asked, decided } from './_layer.ts';
import gptq from './gptq.ts';

const params = {
  iterations: int({ doc: 'Steps of Adam on the exact gradient.', min: 1, max: 1_000_000, default: 500 }),
  rate: num({ doc: 'Step of Adam.', min: 0, max: 1, default: 0.02 }),
  regular: num({ doc: 'Weight of the regulariser that makes choices hard, against a loss in squared steps.', min: 0, default: 0.1 }),
  damp: gptq.params.damp,
  inputs: gptq.params.inputs,
  within: gptq.params.within,
  target: gptq.params.target,
  scope: choice(['layer', 'group', 'block'], { doc: 'What is reconstructed together. This version builds layer.', default: 'layer' }),
  loss: expression({
    doc: 'What is lowered, where it is not the error of the layer: block, layers, heads, or a sum of them. Not built yet.',
    optional: true,
  }),
} satisfies Schema;

const solver: SolverOf<'codes', typeof params> = {
  name: 'adaround',
  since: '0.4.0',
  doc: "Learns for each weight whether to round down or up, on the layer's quadratic. Never worse than rounding to nearest with the same scales: a row that is keeps the latter.",
  formula: 'min (w − ŵ)·H·(w − ŵ)ᵀ + λ Σ (1 − |2h(v) − 1|^β), ŵ = s(⌊w/s⌋ + h(v)), h rectified sigmoid, β 20 → 2',
  cite: 'Nagel et al., AdaRound, 2020 (arXiv:2004.10568)',
  params,
  decides: 'codes',
  later: (p) => (p.scope !== 'layer' ? `scope: ${p.scope}` : p.loss !== undefined ? 'loss' : undefined),
  covers: (w) => gptq.covers(w, { order: 'natural', static_groups: true } as never),
  wants: (p) => gptq.wants(p as never),
  async solve(layer, p) {
    const r = await layer.crunch.adaround({
      ...asked(layer),
      damp: p.damp,
      iterations: p.iterations,
      rate: p.rate,
      regular: p.regular,
    });
    const share = r.nearest > 0 && !layer.cross ? `, ${((100 * r.loss) / r.nearest).toFixed(1)} % of rounding to nearest` : '';
    return decided(r, `loss ${r.loss.toPrecision(4)}${share}${r.kept ? `, ${r.kept} rows stay` : ''}`);
  },
};
export default solver;
