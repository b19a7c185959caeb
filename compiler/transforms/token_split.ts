import type { Transform } from '../define.ts';
import { splitToken, tokenNeeds } from '../fold/token-split.ts';
import { int } from '../schema.ts';

const params = { token: int({ doc: 'Index of the token.', min: 0, default: 0 }) };

const transform: Transform<typeof params> = {
  name: 'token_split',
  since: '0.2.0',
  doc: 'Takes one token out of quantized products: one that is the same for every input (the start token of a text, which is huge in text encoders) and would stretch the ranges of all others. Its outputs become constants in float. Refused where calibration data shows that the token varies.',
  cite: 'Zhao et al., MixDQ, 2024 (arXiv:2405.17873)',
  formula: 'y = [W x_token + b ; Q(x_others) Q(W)]',
  params,
  stage: () => 1,
  needs: (edges, p) =>
    tokenNeeds(
      edges.map((e) => e.to),
      p.token,
    ),
  apply: (job, p) => splitToken(job, job.edges.length ? job.edges.map((e) => e.to) : job.picked, p.token),
};
export default transform;
