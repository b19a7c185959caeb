import type { Order } from '../define.ts';

/** Groups of a quantizer then hold channels of one size. Heads stay where they are. */
const order: Order = {
  name: 'sort',
  since: '0.4.0',
  doc: 'Channels by their largest magnitude, ascending, inside each head: groups that share a scale hold channels of alike size.',
  formula: 'max|x_0| ≤ max|x_1| ≤ …',
  params: {},
  order({ heads, size, absmax }) {
    const from = new Int32Array(heads * size);
    for (let h = 0; h < heads; h++) {
      const own = absmax.subarray(h * size, (h + 1) * size);
      const order = Array.from(own.keys()).sort((a, b) => own[a]! - own[b]! || a - b);
      for (const [i, c] of order.entries()) from[h * size + i] = h * size + c;
    }
    return { from, note: 'by magnitude' };
  },
};
export default order;
