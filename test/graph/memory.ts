/** A host whose files are in memory, and small models made by hand. */

import type { Message } from '../../compiler/graph/proto.ts';
import { encode } from '../../compiler/graph/wireout.ts';
import type { Host, ReadFile } from '../../compiler/host.ts';
import { fail } from '../../grammar/diagnostics.ts';

/** Files by path; reading past an end or opening what is not there throws as a real host does. */
export const inMemory = (files: Readonly<Record<string, Uint8Array>>): Pick<Host, 'open'> => ({
  async open(folder, relative): Promise<ReadFile> {
    const path = folder === '.' ? relative : `${folder}/${relative}`;
    const bytes = files[path] ?? fail('file-missing', `${path} does not exist`);
    return {
      path,
      size: bytes.length,
      async read(at, len) {
        if (at + len > bytes.length) throw new Error(`read past the end of ${path}`);
        return bytes.slice(at, at + len);
      },
      close: async () => undefined,
    };
  },
});

export const float = 1;
export const int64 = 7;

/** `name: float32[dims]` as a ValueInfoProto. */
export const value = (name: string, ...dims: (number | string)[]): Message<'ValueInfo'> => ({
  name,
  type: encode('Type', {
    tensor_type: { elem_type: float, shape: { dim: dims.map((d) => (typeof d === 'number' ? { dim_value: d } : { dim_param: d })) } },
  }),
});

export const node = (op: string, input: string[], output: string[], more: Message<'Node'> = {}): Message<'Node'> => ({
  op_type: op,
  input,
  output,
  ...more,
});

/** x → y through `nodes`, opset 17, IR 8. */
export const model = (graph: Message<'Graph'>, more: Message<'Model'> = {}): Message<'Model'> => ({
  ir_version: 8,
  opset_import: [{ domain: '', version: 17 }],
  graph: { name: 'g', input: [value('x', 2, 2)], output: [value('y', 2, 2)], node: [node('Relu', ['x'], ['y'])], ...graph },
  ...more,
});

export const bytesOf = (m: Message<'Model'>): Uint8Array => encode('Model', m);
