import type { OrthogonalMatrix } from '../define.ts';

const matrix: OrthogonalMatrix = {
  name: 'identity',
  since: '0.2.0',
  doc: 'No rotation: where learning starts from the channels as they are.',
  formula: '1',
  params: {},
  make: (size) => ({ size, name: `identity ${size}`, apply: () => {}, undo: () => {} }),
};
export default matrix;
