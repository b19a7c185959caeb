import type { Transform } from '../define.ts';
import { migrateEdges, migrationNeeds } from '../fold/migrate.ts';
import { num } from '../schema.ts';

const params = {
  margin: num({ doc: 'How much wider than what was seen the ranges are, at least 1.', min: 1, max: 4, default: 1, units: ['x'] }),
};

const transform: Transform<typeof params> = {
  name: 'migrate',
  since: '0.2.0',
  doc: 'Moves quantization steps into norm and weight: the norm emits integers, and nothing stands between it and the product. The readers become the role `migrated`, whose inputs are static, one step a channel: `quantize input of migrated as int8 { mode: static }`; `scale: mse(20, shrink: 0.5)` there clips channel by channel.',
  cite: 'MergeQuant, 2025 (arXiv:2503.07654)',
  formula: "s_k = clip_k · max|x_k| / top; γ' = γ / s, W' = s · W; q = round(norm'(x))",
  params,
  stage: () => 9,
  marks: 'migrated',
  needs: (edges) => migrationNeeds(edges),
  apply: (job, p) => migrateEdges(job, p.margin),
};
export default transform;
