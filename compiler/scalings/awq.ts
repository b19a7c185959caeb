import type { Scaling } from '../define.ts';
import { energyOf, rounded, rowsOf } from '../fold/output-error.ts';
import { refuse } from '../fold/refuse.ts';
import { int } from '../schema.ts';

const params = { grid: int({ doc: 'Points of the grid between 0 (no scales) and 1.', min: 1, max: 1000, default: 20 }) };

const moments = { name: 'moments', args: { axis: -1 } };
const hessian = { name: 'hessian', args: { axis: -1 } };
/** Rows of a wide layer (lm_head) that stand for all. */
const ROWS = 512;

/** ρ = 0 is on the grid: on calibration data the choice is never worse than no scales. */
const scaling: Scaling<typeof params> = {
  name: 'awq',
  since: '0.2.0',
  doc: 'Channel scales from mean magnitudes, their power searched on a grid by the error of the readers’ outputs under quantized weights. For weight-only schemes: activations are taken as exact.',
  cite: 'Lin et al., AWQ, 2023 (arXiv:2306.00978)',
  formula: 's_k = (E|X_k|)^ρ / √(max s · min s), ρ = argmin Σ tr((W − Ŵ) XᵀX (W − Ŵ)ᵀ), Ŵ = Q(W s) / s',
  params,
  positional: ['grid'],
  observes: [moments, hessian],
  async scales(q, p) {
    if (q.set.partner) refuse('not-quantized', `${q.set.name}: awq weighs errors of weights; write law: smooth(α, β) for q <-> k`);
    const mean = q.activation(moments, 'magnitude');
    const layers = await Promise.all(q.set.readings.map(async (r) => ({ ...(await rowsOf(q.job, r.site, ROWS)), channels: r.channels })));
    let best: { error: number; s: Float64Array } = { error: Number.POSITIVE_INFINITY, s: new Float64Array(q.set.channels).fill(1) };
    for (let i = 0; i <= p.grid; i++) {
      const s = normalised(mean, i / p.grid, q.set.pinned);
      let error = 0;
      for (const w of layers) {
        const scaled = w.rows.map((x, at) => x * s[w.channels[at % w.reduce]!]!);
        const back = await rounded(w, scaled, q.job.ctx);
        const off = back.map((x, at) => w.rows[at]! - x / s[w.channels[at % w.reduce]!]!);
        error += await energyOf(off, q.observed.get(w.site.ports['input']!.value, hessian)['h']!, w.reduce, q.job.ctx);
      }
      if (error < best.error) best = { error, s };
    }
    return best.s;
  },
};
export default scaling;

/** s_k = a_k^ρ over √(max · min); channels without any value, or pinned, keep 1. */
function normalised(a: Float64Array, power: number, pinned: Uint8Array): Float64Array {
  const s = a.map((x, c) => (x > 0 && !pinned[c] ? Math.max(x, 1e-8) ** power : 0));
  const free = s.filter((x) => x > 0);
  if (free.length === 0) return new Float64Array(a.length).fill(1);
  const unit = Math.sqrt(free.reduce((m, x) => Math.max(m, x), 0) * free.reduce((m, x) => Math.min(m, x), Number.POSITIVE_INFINITY));
  return s.map((x) => (x > 0 ? Math.min(1e5, Math.max(1e-5, x / unit)) : 1));
}
