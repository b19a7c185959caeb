import type { Law } from '../define.ts';

const law: Law = {
  name: 'minmax',
  since: '0.1.0',
  doc: 'The whole range is representable: nothing clips.',
  formula: 'symmetric: s = max|x| / hi; asymmetric: s = (max − min) / (hi − lo) with 0 in range, z = lo − round(min / s)',
  params: {},
  crunch: () => ({ name: 'minmax' }),
};
export default law;
