/** What exporters give: every type and every way to store it, unknown fields, several data files, files larger than memory. */
import onnxProto from 'onnx-proto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openTensors } from '../../compiler/graph/bytes.ts';
import { dtypeNumbers } from '../../compiler/graph/dtype.ts';
import { loadModel, loadModelFromBytes } from '../../compiler/graph/load.ts';
import { toFloat64 } from '../../compiler/graph/numeric.ts';
import { type Message, schema } from '../../compiler/graph/proto.ts';
import type { DType } from '../../compiler/graph/types.ts';
import { concatBytes } from '../../compiler/graph/wire.ts';
import { encode } from '../../compiler/graph/wireout.ts';
import { encodeModel } from '../../compiler/graph/write.ts';
import type { Host } from '../../compiler/host.ts';
import { bytesOf, float, inMemory, model, node, value } from './memory.ts';

const { onnx } = onnxProto;

test('the schema agrees with onnx-proto where both know a field', () => {
  let compared = 0;
  for (const [name, fields] of Object.entries(schema)) {
    const theirs = (onnx as unknown as Record<string, { prototype: object; encode: (m: object) => { finish(): Uint8Array } } | undefined>)[
      `${name}Proto`
    ];
    if (theirs === undefined) continue;
    for (const [field, [number, kind]] of Object.entries(fields as unknown as Record<string, [number, string]>)) {
      const camel = field.replaceAll(/_([a-z])/g, (_, c: string) => c.toUpperCase());
      if (!(camel in theirs.prototype) || (kind !== 'string' && kind !== 'int')) continue;
      const many = Array.isArray((theirs.prototype as Record<string, unknown>)[camel]);
      const sample = kind === 'string' ? 'a' : 1;
      const tag = theirs.encode({ [camel]: many ? [sample] : sample }).finish();
      const first = tag[0]! < 128 ? tag[0]! : (tag[0]! & 127) | (tag[1]! << 7);
      assert.is(first >> 3, number, `${name}.${field}`);
      compared++;
    }
  }
  assert.ok(compared > 20, `only ${compared} fields were compared`);
});

test('a model that onnx-proto wrote is read, and the other way round', async () => {
  const theirs = onnx.ModelProto.encode({
    irVersion: 7,
    opsetImport: [{ domain: '', version: 13 }],
    graph: {
      name: 'g',
      node: [
        {
          opType: 'Gemm',
          input: ['x', 'w'],
          output: ['y'],
          attribute: [
            { name: 'transB', type: 2, i: 1 },
            { name: 'alpha', type: 1, f: 0.5 },
          ],
        },
      ],
      initializer: [{ name: 'w', dataType: 1, dims: [1, 2], floatData: [1.5, -2] }],
      input: [{ name: 'x', type: { tensorType: { elemType: 1, shape: { dim: [{ dimParam: 'n' }, { dimValue: 2 }] } } } }],
      output: [{ name: 'y', type: { tensorType: { elemType: 1 } } }],
    },
  }).finish();
  const m = await loadModelFromBytes(theirs);
  const [n] = m.graph.nodes;
  assert.equal(n!.attrs.get('transB'), { type: 'int', value: 1 });
  assert.equal(m.graph.inputs[0]!.shape, ['n', 2]);
  assert.is(m.graph.outputs[0]!.shape, undefined);
  const w = m.graph.initializers.get('w')!;
  const reader = openTensors(inMemory({}), '.');
  assert.equal([...toFloat64('float32', await reader.bytes(w))], [1.5, -2]);
  const back = onnx.ModelProto.decode(await encodeModel(m, reader));
  assert.is(back.graph!.node![0]!.attribute![1]!.f, 0.5);
  assert.is(back.graph!.input![0]!.type!.tensorType!.shape!.dim![0]!.dimParam, 'n');
});

const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) + 128, ...varint(Math.floor(n / 128))]);
const varints = (...values: number[]): Uint8Array[] => [Uint8Array.from(values.flatMap(varint))];

test('typed data fields are turned into raw bytes', async () => {
  const f32 = new Uint8Array(Float32Array.of(1, -2.5).buffer);
  const tensors: [DType, number[], Message<'Tensor'>, number[]][] = [
    ['float32', [2], { float_data: [f32] }, [1, -2.5]],
    ['float64', [1], { double_data: [new Uint8Array(Float64Array.of(0.1).buffer)] }, [0.1]],
    ['float16', [2], { int32_data: varints(0x3c00, 0xc100) }, [1, -2.5]],
    ['bfloat16', [1], { int32_data: varints(0xc020) }, [-2.5]],
    ['int64', [3], { int64_data: varints(1, 2, 3) }, [1, 2, 3]],
    ['uint64', [2], { uint64_data: varints(7, 8) }, [7, 8]],
    ['uint32', [2], { uint64_data: varints(7, 8) }, [7, 8]],
    ['int32', [2], { int32_data: varints(5, 6) }, [5, 6]],
    ['uint8', [2], { int32_data: varints(5, 6) }, [5, 6]],
    ['bool', [2], { int32_data: varints(0, 1) }, [0, 1]],
    ['int4', [3], { int32_data: varints(0x2f, 0x08) }, [-1, 2, -8]],
    ['uint2', [5], { raw_data: Uint8Array.from([0b11100100, 0b01]) }, [0, 1, 2, 3, 1]],
  ];
  for (const [dtype, dims, data, expected] of tensors) {
    const m = await loadModelFromBytes(bytesOf(model({ initializer: [{ name: 'w', data_type: dtypeNumbers[dtype], dims, ...data }] })));
    const t = m.graph.initializers.get('w')!;
    assert.equal([...toFloat64(dtype, await openTensors(inMemory({}), '.').bytes(t), expected.length)], expected, dtype);
  }
});

test('every element type goes through load and write', async () => {
  for (const [dtype, number] of Object.entries(dtypeNumbers)) {
    if (dtype === 'string') continue;
    const bits = { complex128: 128, complex64: 64 }[dtype] ?? Number(/\d+/.exec(dtype.replace(/e\d.*/, ''))?.[0] ?? 8);
    const raw_data = Uint8Array.from({ length: Math.ceil((3 * bits) / 8) }, (_, i) => i + 1);
    const graph = { initializer: [{ name: 'w', data_type: number, dims: [3], raw_data }] };
    const m = await loadModelFromBytes(bytesOf(model(graph)));
    assert.is(m.graph.initializers.get('w')!.dtype, dtype);
    const again = await loadModelFromBytes(await encodeModel(m, openTensors(inMemory({}), '.')));
    assert.equal(again, m);
  }
});

test('strings, int64 extremes and bytes that are not UTF-8 are exact', async () => {
  const strange = Uint8Array.from([0xff, 0x00, 0x41]);
  const m = await loadModelFromBytes(
    bytesOf(
      model({
        initializer: [{ name: 's', data_type: 8, dims: [2], string_data: [strange, new Uint8Array(0)] }],
        node: [
          node('Relu', ['x'], ['y'], {
            attribute: [
              { name: 'ends', type: 7, ints: [2n ** 63n - 1n, -(2n ** 63n), -1, 2 ** 40] },
              { name: 'raw', type: 3, s: strange },
            ],
          }),
        ],
      }),
    ),
  );
  const attrs = m.graph.nodes[0]!.attrs;
  assert.equal(attrs.get('ends'), { type: 'ints', value: [2n ** 63n - 1n, -(2n ** 63n), -1, 2 ** 40] });
  const again = await loadModelFromBytes(await encodeModel(m, openTensors(inMemory({}), '.')));
  assert.equal(again, m);
  assert.equal((again.graph.nodes[0]!.attrs.get('raw') as { raw?: Uint8Array }).raw, strange);
});

/** Field 1000, length-delimited. */
const future = (...payload: number[]): Uint8Array => Uint8Array.from([0xc2, 0x3e, payload.length, ...payload]);

test('fields that our schema does not know are kept at every level', async () => {
  const source = bytesOf({
    ...model({
      name: 'g',
      unknown: future(1),
      input: [{ ...value('x', 2), unknown: future(2) }],
      initializer: [{ name: 'w', data_type: float, dims: [1], raw_data: new Uint8Array(4), unknown: future(3) }],
      node: [node('Add', ['x', 'w'], ['y'], { unknown: future(4), attribute: [{ name: 'a', type: 2, i: 1, unknown: future(5) }] })],
    }),
    functions: [{ name: 'f', domain: 'd', input: ['a'], output: ['a'], unknown: future(6) }],
    unknown: future(7),
  });
  const m = await loadModelFromBytes(source);
  const written = await encodeModel(m, openTensors(inMemory({}), '.'));
  for (let i = 1; i <= 7; i++) assert.is(count(written, future(i)), 1, `level ${i}`);
  assert.equal(await loadModelFromBytes(written), m);
});

const count = (bytes: Uint8Array, part: Uint8Array): number =>
  Buffer.from(bytes).toString('latin1').split(Buffer.from(part).toString('latin1')).length - 1;

test('external data lies in several files, also in folders below', async () => {
  const entry = (location: string, offset: number) => [
    { key: 'location', value: location },
    { key: 'offset', value: String(offset) },
    { key: 'length', value: '8' },
    { key: 'checksum', value: 'whatever' },
  ];
  const tensor = (name: string, location: string, offset: number) => ({
    name,
    data_type: float,
    dims: [2],
    data_location: 1,
    external_data: entry(location, offset),
  });
  const file = bytesOf(model({ initializer: [tensor('a', 'w.bin', 0), tensor('b', './sub/v.bin', 4), tensor('c', 'w.bin', 8)] }));
  const numbers = (...v: number[]): Uint8Array => new Uint8Array(Float32Array.from(v).buffer);
  const host = inMemory({ 'dir/m.onnx': file, 'dir/w.bin': numbers(1, 2, 3, 4), 'dir/sub/v.bin': numbers(9, 5, 6) });
  const loaded = await loadModel(host, 'dir/m.onnx');
  assert.equal(loaded.external, ['w.bin', 'sub/v.bin']);
  assert.is(loaded.bytes, file.length + 16 + 12);
  const reader = openTensors(host, loaded.dir);
  const read = async (name: string) => [...toFloat64('float32', await reader.bytes(loaded.model.graph.initializers.get(name)!))];
  assert.equal(
    [await read('a'), await read('b'), await read('c')],
    [
      [1, 2],
      [5, 6],
      [3, 4],
    ],
  );
});

test('a model file over 2 GiB is walked without reading its weights', async () => {
  const big = 3 * 2 ** 30;
  const dims = [big / 4];
  // the messages around a raw_data of 3 GiB, whose bytes exist nowhere
  const before = encode('Tensor', { dims, data_type: float, name: 'w' });
  const raw = [0x4a, ...varint(big)];
  const tensor = [0x2a, ...varint(before.length + raw.length + big)];
  const rest = encode('Graph', { name: 'g', input: [value('x', 1)], output: [value('y', 1)], node: [node('Add', ['x', 'w'], ['y'])] });
  const graph = [0x3a, ...varint(tensor.length + before.length + raw.length + big + rest.length)];
  const head = concatBytes([encode('Model', { ir_version: 8 }), Uint8Array.from([...graph, ...tensor]), before, Uint8Array.from(raw)]);
  const tail = concatBytes([rest, encode('Model', { opset_import: [{ domain: '', version: 17 }] })]);
  const size = head.length + big + tail.length;
  let read = 0;
  const host: Pick<Host, 'open'> = {
    open: async () => ({
      path: 'm.onnx',
      size,
      async read(at, len) {
        read += len;
        assert.ok(at + len <= size && len < 2 ** 20);
        const out = new Uint8Array(len);
        for (let i = 0; i < len; i++) {
          const p = at + i;
          out[i] = p < head.length ? head[p]! : p < head.length + big ? 0 : tail[p - head.length - big]!;
        }
        return out;
      },
      close: async () => undefined,
    }),
  };
  const { model: m } = await loadModel(host, 'm.onnx');
  assert.equal(m.graph.initializers.get('w'), {
    dtype: 'float32',
    shape: dims,
    source: { kind: 'file', file: 'm.onnx', at: head.length, len: big },
  });
  assert.is(m.graph.nodes.length, 1);
  assert.ok(read < 2 ** 20);
});

test('nodes that come in another order are put in order, the rest stays', async () => {
  const m = await loadModelFromBytes(
    bytesOf(
      model({ node: [node('Relu', ['b'], ['y']), node('Neg', ['x'], ['a']), node('Abs', ['a'], ['b']), node('Exp', ['x'], ['dead'])] }),
    ),
  );
  assert.equal(
    m.graph.nodes.map((n) => n.op),
    ['Neg', 'Abs', 'Relu', 'Exp'],
  );
});

test('a branch may use outer values that are made later in the file', async () => {
  const g = (name: string): Message<'Graph'> => ({
    name,
    node: [node('Identity', ['late'], [`${name}y`])],
    output: [value(`${name}y`, 1)],
  });
  const m = await loadModelFromBytes(
    bytesOf(
      model({
        node: [
          node('If', ['x'], ['y'], {
            attribute: [
              { name: 'then_branch', type: 5, g: g('t') },
              { name: 'else_branch', type: 5, g: g('e') },
            ],
          }),
          node('Neg', ['x'], ['late']),
        ],
      }),
    ),
  );
  assert.equal(
    m.graph.nodes.map((n) => n.op),
    ['Neg', 'If'],
  );
});

test.run();
