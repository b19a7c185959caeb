import type { Scaling } from '../define.ts';
import { floatRows } from '../fold/output-error.ts';

/** Beyond this a scale would cost float32 its digits. */
const MOST = 1e5;

const scaling: Scaling = {
  name: 'dilate',
  since: '0.2.0',
  doc: 'Widens weight channels up to the range that each output channel has anyway, so that the activation shrinks and no weight step grows. From the weights alone. Channels that reach a range already (saturated) stay: with many outputs that is most of them.',
  cite: 'Liu et al., DilateQuant, 2024 (arXiv:2409.14307)',
  formula: 's_k = min over o of max_j W_oj / W_ok where W_ok > 0, min_j W_oj / W_ok where W_ok < 0; at least 1',
  params: {},
  observes: [],
  async scales(q) {
    const s = new Float64Array(q.set.channels).fill(Number.POSITIVE_INFINITY);
    for (const r of q.set.readings) {
      const { rows, out, reduce } = await floatRows(q.job, r.site);
      for (let o = 0; o < out; o++) {
        const row = rows.subarray(o * reduce, (o + 1) * reduce);
        let [lo, hi] = [0, 0];
        for (const w of row) {
          if (w < lo) lo = w;
          if (w > hi) hi = w;
        }
        for (let k = 0; k < reduce; k++) {
          const w = row[k]!;
          const c = r.channels[k]!;
          if (w !== 0) s[c] = Math.min(s[c]!, (w > 0 ? hi : lo) / w);
        }
      }
    }
    for (let c = 0; c < s.length; c++) s[c] = Number.isFinite(s[c]!) ? Math.min(MOST, Math.max(1, s[c]!)) : 1;
    return s;
  },
  note: (s) => `${s.filter((x) => x === 1).length} of ${s.length} channels saturated`,
};
export default scaling;
