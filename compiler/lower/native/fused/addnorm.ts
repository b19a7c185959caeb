/** `AddRmsNorm`, `AddLayerNorm`: a residual is added, the sum is normed; both are read. */
import { attrInt, typeOf } from '../../../match/view.ts';
import { DOMAIN } from '../function.ts';
import type { Fusion, Place } from '../fuse.ts';
import { normBody, normName } from '../norms.ts';

const fusion = (layer: boolean): Fusion => {
  const name = normName({ layer, add: true, emits: 'floats' });
  return {
    name,
    body: normBody,
    find(v): Place[] {
      return v.nodes(`${DOMAIN}::${normName({ layer, add: false, emits: 'floats' })}`).flatMap((n): Place[] => {
        let at = n.inputs[0]!;
        // Exporters cast to the type that a value has.
        for (
          let p = v.producer(at);
          p && typeOf(p) === 'Cast' && attrInt(p, 'to', 0) === 1 && v.dtype(p.inputs[0]!) === 'float32';
          p = v.producer(at)
        )
          at = p.inputs[0]!;
        const add = v.producer(at);
        if (!add || typeOf(add) !== 'Add') return [];
        const [a, b] = add.inputs.map((i) => v.shape(i)?.join());
        if (a === undefined || a !== b) return [];
        const eps = n.attrs.get('eps');
        if (eps?.type !== 'float') return [];
        return [{ inputs: [...add.inputs, ...n.inputs.slice(1)], attrs: { eps: { float: eps.value } }, outputs: [n.outputs[0]!, at] }];
      });
    },
  };
};
export const addRmsNorm = fusion(false);
export const addLayerNorm = fusion(true);
