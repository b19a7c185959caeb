/** `QuantizeRows`: rows that several linear operators would round alike are rounded once. */
import type { Node } from '../../../graph/types.ts';
import type { Fusion, Place } from '../fuse.ts';
import { rewireRows, takesRows } from '../rowcodes.ts';
import { rowsBody } from '../rows.ts';

const fusion: Fusion = {
  name: 'QuantizeRows',
  body: (_, opset) => rowsBody('QuantizeRows', opset),
  find(v, e): Place[] {
    const readers = new Map<string, Node[]>();
    for (const n of v.graph.nodes) {
      const x = n.inputs[0];
      if (x !== undefined && takesRows(v, n, x)) readers.set(x, [...(readers.get(x) ?? []), n]);
    }
    return [...readers].flatMap(([x, nodes]): Place[] => {
      if (nodes.length < 2) return [];
      const [codes, scale] = [e.fresh(`${x}/codes`), e.fresh(`${x}/scale`)];
      const attrs = { top: { float: 127 } };
      return [{ inputs: [x], attrs, outputs: [codes, scale], replaces: [], rewire: () => rewireRows(e, nodes, codes, scale) }];
    });
  },
};
export default fusion;
