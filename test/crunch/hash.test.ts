/** BLAKE3 from every engine, and the identity of a model that is made of it. */
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openModel } from '../../compiler/driver/model.ts';
import { loadModel } from '../../compiler/graph/load.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { engines } from './engines.ts';

const all = await engines();
const folder = mkdtempSync(join(tmpdir(), 'qc-hash-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));
const hex = (b: Uint8Array) => Buffer.from(b).toString('hex');
/** The input of BLAKE3's test vectors. */
const counting = (n: number) => Uint8Array.from({ length: n }, (_, i) => i % 251);

test("BLAKE3's own test vectors", async () => {
  const expected: [number, string][] = [
    [0, 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262'],
    [1, '2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213'],
    [1024, '42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7'],
    [102400, 'bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085'],
  ];
  for (const [n, digest] of expected) for (const [name, c] of all) assert.is(hex(await c.hash(counting(n))), digest, `${n} bytes, ${name}`);
});

test('pieces: the same on every engine, from memory and from a range of a file', async () => {
  const path = join(folder, 'bytes');
  writeFileSync(path, counting(5 * 2 ** 20 + 77));
  for (const len of [2 ** 20, 2 ** 20 + 1, 3 * 2 ** 20, 5 * 2 ** 20 + 7]) {
    const bytes = readFileSync(path).subarray(70, 70 + len);
    const digests = await Promise.all(all.flatMap(([, c]) => [c.hash(bytes), c.hash({ path, at: 70, len })]));
    assert.is(new Set(digests.map(hex)).size, 1, `${len} bytes`);
  }
});

test('a weight is hashed on its way through the quantizer, whatever the cuts', async () => {
  const path = join(folder, 'weights');
  const data = Float32Array.from({ length: 700 * 900 }, (_, i) => Math.sin(i * 1.7));
  writeFileSync(path, new Uint8Array(data.buffer));
  const shapes = [
    { out: 640, reduce: 896, order: 'ro', grain: { per: 'group', group: 128 } },
    { out: 641, reduce: 700, order: 'ro', grain: { per: 'group', group: 48 } },
    { out: 500, reduce: 900, order: 'or', grain: { per: 'channel' } },
    { out: 500, reduce: 900, order: 'ro', grain: { per: 'channel' } },
    { out: 33, reduce: 65, order: 'or', grain: { per: 'tensor' } },
  ] as const;
  for (const { grain, ...shape } of shapes) {
    const len = shape.out * shape.reduce * 4;
    const range = { path, at: 44, len };
    const bytes = new Uint8Array(readFileSync(path).subarray(44, 44 + len));
    const request = {
      format: { kind: 'int', bits: 4, signed: true, lo: -8, hi: 7 },
      symmetric: true,
      grain,
      law: { name: 'minmax' },
      scaleType: 'float32',
      layout: 'source',
    } as const;
    const expected = hex(await all[0]![1].hash(bytes));
    const seen = new Set<string>();
    for (const [name, c] of all) {
      for (const from of [bytes, range]) {
        const r = await c.quantize({ ...request, weight: { data: from, dtype: 'float32', ...shape }, digest: true });
        assert.is(hex(r.digest!), expected, `${JSON.stringify(shape)}, ${name}`);
        seen.add(`${hex(r.codes)} ${hex(r.scales)} ${r.error} ${r.energy}`);
      }
    }
    assert.is(seen.size, 1, JSON.stringify(shape));
  }
});

test("a model's identity: the same wherever its weights lie, another after any edit of a weight", async () => {
  const host = await nodeHost();
  const printOf = async (path: string): Promise<string> => {
    const source = await openModel(host, path);
    return source.fingerprint().finally(() => source.close());
  };
  try {
    const source = 'test/models/mlp-conv/model.onnx';
    const { model, dir } = await loadModel(host, source);
    const path = join(folder, 'model.onnx');
    await writeModel(host, model, path, { dir, external: true });
    const print = await printOf(source);
    assert.match(print, /^[0-9a-f]{64}$/);
    assert.is(await printOf(path), print);

    const data = `${path}.data`;
    const outside = await loadModel(host, path);
    const prints = new Set([print]);
    let edits = 0;
    for (const t of outside.model.graph.initializers.values()) {
      const s = t.source;
      if (s.kind !== 'file' || s.file !== 'model.onnx.data') continue;
      for (const at of [0, 1, Math.floor(s.len / 3), Math.floor(s.len / 2) + 1, s.len - 1]) {
        flip(data, s.at + at);
        prints.add(await printOf(path));
        flip(data, s.at + at);
        edits++;
      }
    }
    assert.ok(edits > 10);
    assert.is(prints.size, edits + 1);
    assert.is(await printOf(path), print);
  } finally {
    await host.close();
  }
});

/** Turns the lowest bit of one byte. */
function flip(path: string, at: number): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, at);
  byte[0]! ^= 1;
  writeSync(file, byte, 0, 1, at);
  closeSync(file);
}

test.run();
