import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dataSource } from '../../compiler/calibrate/data.ts';
import { encodeNpy } from '../../compiler/calibrate/npy.ts';
import { encodeNpz } from '../../compiler/calibrate/npz.ts';
import type { Batch } from '../../compiler/calibrate/source.ts';
import { floats, valueFrom, view } from '../../compiler/calibrate/values.ts';
import type { DType } from '../../compiler/graph/types.ts';
import type { Value } from '../../compiler/host.ts';
import { nodeHost } from '../../compiler/node/host.ts';
import { errorOf, floatTensor, folder, graph, info } from './_make.ts';

const g = graph([info('image', 'float32', ['batch', 3]), info('mask', 'int64', ['batch', 'n']), info('scale', 'float32', [1])], [], [], {
  scale: floatTensor([1], [1]),
});
const of = (dtype: DType, shape: number[], fill = 0): Value =>
  valueFrom(dtype, shape, new Float64Array(shape.reduce((a, b) => a * b, 1)).fill(fill));
const good = { image: of('float32', [4, 3], 1), mask: of('int64', [4, 5]) };
const npz = (arrays: Record<string, Value>) => encodeNpz(new Map(Object.entries(arrays)));

/** Reads a whole folder against `g`; the folder's name in a message becomes DIR. */
async function read(files: Record<string, Uint8Array | string>, samples?: number, at = '', model = g): Promise<Batch[]> {
  const host = await nodeHost();
  const dir = folder(files);
  try {
    const batches: Batch[] = [];
    const source = await dataSource(host, dir.path + at, samples === undefined ? {} : { samples });
    for await (const batch of source.read(model)) batches.push(batch);
    return batches.map((b) => ({ ...b, label: b.label.replaceAll(dir.path, 'DIR') }));
  } catch (e) {
    if (e instanceof Error && 'diagnostics' in e) {
      const text = JSON.stringify(e.diagnostics).replaceAll(dir.path, 'DIR');
      Object.assign(e, { diagnostics: JSON.parse(text) });
    }
    throw e;
  } finally {
    dir.remove();
    await host.close();
  }
}

test('one .npz is one batch, in sorted order; defaults need not be fed', async () => {
  const batches = await read({ 'b.npz': npz(good), 'a.npz': npz({ ...good, image: of('float32', [4, 3], 7) }), 'notes.txt': 'x' });
  assert.equal(
    batches.map((b) => b.label),
    ['DIR/a.npz', 'DIR/b.npz'],
  );
  assert.equal(
    batches.map((b) => floats(b.feeds['image']!)[0]),
    [7, 1],
  );
});

test('one .npz file instead of a folder', async () => {
  assert.is((await read({ 'a.npz': npz(good), 'b.npz': npz(good) }, undefined, '/a.npz')).length, 1);
});

test('.npy files: one batch, or one for each prefix', async () => {
  const image = encodeNpy(good.image);
  const mask = encodeNpy(good.mask);
  assert.is((await read({ 'image.npy': image, 'mask.npy': mask })).length, 1);
  const two = await read({
    '1.image.npy': image,
    '1.mask.npy': mask,
    '0.image.npy': encodeNpy(of('float32', [4, 3], 9)),
    '0.mask.npy': mask,
  });
  assert.equal(
    two.map((b) => floats(b.feeds['image']!)[0]),
    [9, 1],
  );
});

const numbered = (from: number, n: number) =>
  npz({
    image: of('float32', [n, 3]),
    mask: valueFrom(
      'int64',
      [n, 1],
      Array.from({ length: n }, (_, i) => from + i),
    ),
  });
const idsOf = (batches: readonly Batch[]) => batches.map((b) => [...view(b.feeds['mask']!)].map(Number));

test('samples are spread over the files, and over the rows of each', async () => {
  const files = { 'a.npz': numbered(0, 4), 'b.npz': numbered(4, 4), 'c.npz': numbered(8, 4), 'd.npz': numbered(12, 1) };
  assert.equal(idsOf(await read(files, 6)), [
    [0, 2],
    [4, 6],
    [8, 10],
  ]);
  assert.equal(idsOf(await read(files, 3)), [[0], [4], [8]]);
  assert.equal(idsOf(await read(files, 12)).flat(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.equal(idsOf(await read(files, 99)).flat().length, 13);
  const batches = await read(files, 6);
  assert.equal(
    batches.map((b) => [b.samples, b.feeds['image']!.shape]),
    Array(3).fill([2, [2, 3]]),
  );
});

test('more files than samples: the first files are not the sample', async () => {
  const files = Object.fromEntries(Array.from({ length: 26 }, (_, i) => [`t${String(i).padStart(2, '0')}.npz`, numbered(100 * i, 16)]));
  const ids = idsOf(await read(files, 13)).flat();
  assert.equal(
    ids,
    Array.from({ length: 13 }, (_, j) => 200 * j),
  );
});

test('batches that cannot be cut are taken whole, spread over the files', async () => {
  const fixed = graph([info('image', 'float32', [4, 3]), info('mask', 'int64', [4, 1])], [], []);
  const files = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`${i}.npz`, numbered(10 * i, 4)]));
  assert.equal(
    idsOf(await read(files, 13, '', fixed)).map((ids) => ids[0]),
    [0, 20, 40, 60],
  );
});

const hint = ' | name the arrays like the graph inputs';
const bad: [string, Record<string, Uint8Array | string>, string][] = [
  [
    'empty folder',
    { 'readme.txt': 'x' },
    'data-empty: the folder DIR has no .npz or .npy files | one .npz file for each batch, arrays named like the graph inputs',
  ],
  [
    'mixed kinds',
    { 'a.npz': npz(good), 'image.npy': encodeNpy(good.image) },
    'data-mixed: the folder DIR has both .npz and .npy files | keep one kind',
  ],
  [
    'missing input',
    { 'a.npz': npz({ image: good.image }) },
    `data-missing-input: DIR/a.npz: no array for the graph input "mask"; the file has "image"${hint}`,
  ],
  [
    'misspelt input',
    { 'a.npz': npz({ imgae: good.image, mask: good.mask }) },
    'data-missing-input: DIR/a.npz: no array for the graph input "image"; the file has "imgae", "mask" | is "imgae" meant? name the arrays like the graph inputs',
  ],
  [
    'no arrays',
    { 'a.npz': npz({}) },
    `data-missing-input: DIR/a.npz: no array for the graph inputs "image", "mask"; the file has no arrays${hint}`,
  ],
  [
    'extra array',
    { 'a.npz': npz({ ...good, label: of('int64', [4]) }) },
    'data-unknown-input: DIR/a.npz: the graph has no input "label"; its inputs are "image", "mask", "scale" | leave out arrays that are not graph inputs',
  ],
  [
    'wrong type',
    { 'a.npz': npz({ ...good, image: of('float64', [4, 3]) }) },
    'data-type: DIR/a.npz: input "image" takes float32, the array is float64 | save it with .astype("float32")',
  ],
  [
    'no batch dimension',
    { 'a.npz': npz({ ...good, image: of('float32', [3]) }) },
    'data-rank: DIR/a.npz: input "image" has 2 dimensions [batch, 3], the array has 1 [3] | the batch dimension may be missing: save it with a[None]',
  ],
  [
    'too many dimensions',
    { 'a.npz': npz({ ...good, mask: of('int64', [1, 4, 5]) }) },
    'data-rank: DIR/a.npz: input "mask" has 2 dimensions [batch, n], the array has 3 [1, 4, 5]',
  ],
  [
    'a fixed dimension',
    { 'a.npz': npz({ ...good, image: of('float32', [4, 2]) }) },
    'data-shape: DIR/a.npz: input "image" takes [batch, 3], the array is [4, 2]: dimension 1 must be 3',
  ],
  [
    'a shared symbol',
    { 'a.npz': npz({ ...good, mask: of('int64', [2, 5]) }) },
    'data-shape: DIR/a.npz: input "mask" has batch = 2, but input "image" has batch = 4',
  ],
  [
    'no rows',
    { 'a.npz': npz({ image: of('float32', [0, 3]), mask: of('int64', [0, 5]) }) },
    'data-empty: DIR/a.npz: input "image" has no rows: its shape is [0, 3] | leave the file out',
  ],
  [
    'NaN',
    { 'a.npz': npz({ ...good, image: of('float32', [4, 3], Number.NaN) }) },
    'data-nan: DIR/a.npz: input "image" holds NaN | calibrate on clean data',
  ],
  [
    'not a zip',
    { 'a.npz': 'hello' },
    'npz-malformed: DIR/a.npz: not a readable zip archive (invalid zip data) | write it again; it may be cut off',
  ],
  [
    'an array cut off',
    { 'image.npy': encodeNpy(good.image).subarray(0, 130), 'mask.npy': encodeNpy(good.mask) },
    'npy-malformed: DIR/image.npy: shape [4, 3] of float32 needs 48 bytes, the file has 2 | write it again with numpy.save or numpy.savez',
  ],
  [
    'an .npy of no input',
    { 'picture.npy': encodeNpy(good.image) },
    'data-unknown-input: DIR/picture.npy: the graph has no input "picture"; its inputs are "image", "scale", "mask" | name the files <input>.npy, or <n>.<input>.npy for several batches',
  ],
];
for (const [name, files, message] of bad)
  test(`bad data: ${name}`, async () => {
    assert.is(await errorOf(() => read(files)), message);
  });

test('a folder that is not there', async () => {
  const host = await nodeHost();
  assert.is(
    await errorOf(() => dataSource(host, '/nowhere/calib')),
    'file-missing: there is no file /nowhere/calib | check the path; names are case-sensitive',
  );
  await host.close();
});

test.run();
