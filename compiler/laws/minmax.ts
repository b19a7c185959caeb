import type { Law } from '../define.ts';
import { num } from '../schema.ts';

const params = {
  margin: num({
    doc: 'Headroom of a static activation: its range is that many times the one that was seen.',
    min: 1,
    max: 4,
    optional: true,
  }),
};

const law: Law<typeof params> = {
  name: 'minmax',
  since: '0.1.0',
  doc: 'The whole range is representable: nothing clips.',
  formula: 'symmetric: s = max|x| / hi; asymmetric: s = (max − min) / (hi − lo) with 0 in range, z = lo − round(min / s)',
  params,
  crunch: () => ({ name: 'minmax' }),
};
export default law;
