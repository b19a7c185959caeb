import type { Law } from '../define.ts';
import { num } from '../schema.ts';

const params = {
  ratio: num({ doc: 'Share of the range that stays.', min: 0.1, max: 1, default: 0.9, aliases: ['clip_ratio'] }),
};

const law: Law<typeof params> = {
  name: 'share',
  since: '0.1.0',
  doc: 'A fixed share of the range: few large values clip and all others have finer steps. Also for dynamic activations, whose range is known only at run time.',
  formula: 'minmax of ratio·[min, max]',
  cite: 'Ashkboos et al., QuaRot, 2024 (arXiv:2404.00456), §4 (clip ratio 0.9)',
  params,
  positional: ['ratio'],
  crunch: (p) => ({ name: 'share', ratio: p.ratio }),
};
export default law;
