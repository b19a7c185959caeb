import type { Scaling } from '../define.ts';
import { num } from '../schema.ts';

const params = {
  alpha: num({ doc: 'Power of the activation maximum.', min: 0, max: 1, default: 0.5 }),
  beta: num({ doc: 'Power of the weight maximum; 1 − alpha if it is not given.', min: 0, max: 1, optional: true }),
};

const absmax = { name: 'absmax', args: { axis: -1 } };
/** Beyond these a scale would cost float32 its digits. */
const [LEAST, MOST] = [1e-5, 1e5];

/** Channels without any value or weight keep their scale. */
const scaling: Scaling<typeof params> = {
  name: 'smooth',
  since: '0.1.0',
  doc: 'Channel scales from the maxima of activations and weights. On q and k: from the maxima of both.',
  cite: 'Xiao et al., SmoothQuant, 2023 (arXiv:2211.10438); Lin et al., QServe, 2024 (arXiv:2405.04532)',
  formula: 's_k = max|X_k|^α / max|W_k|^β',
  params,
  positional: ['alpha', 'beta'],
  observes: [absmax],
  async scales(q, p) {
    const x = q.activation(absmax, 'absmax');
    const w = await q.weight();
    const beta = (p.beta as number | undefined) ?? 1 - p.alpha;
    return x.map((a, c) => (a > 0 && w[c]! > 0 ? Math.min(MOST, Math.max(LEAST, a ** p.alpha / w[c]! ** beta)) : 1));
  },
};
export default scaling;
