import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { floats, ofFloats, valueFrom, view } from '../../compiler/calibrate/values.ts';
import { loadModel } from '../../compiler/graph/load.ts';
import type { DType } from '../../compiler/graph/types.ts';
import { writeModel } from '../../compiler/graph/write.ts';
import { sessionModel } from '../../compiler/node/encode.ts';
import { locate, nodeHost } from '../../compiler/node/host.ts';
import { openSession } from '../../compiler/node/session.ts';
import { errorOf, floatTensor, folder, graph, info, model, node, numbers } from './_make.ts';

const host = await nodeHost({ threads: 1 });
test.after(() => host.close());
/** The error with the folder's name as DIR. */
const inDir = async (path: string, run: () => unknown) => (await errorOf(run)).replaceAll(path, 'DIR');

test('files are read below their folder only', async () => {
  const dir = folder({ 'in/a.bin': 'hello', 'out.bin': 'secret' });
  const inside = join(dir.path, 'in');
  symlinkSync('../out.bin', join(inside, 'link.bin'));
  symlinkSync('a.bin', join(inside, 'fine.bin'));
  const file = await host.open(inside, 'fine.bin');
  assert.is(new TextDecoder().decode(await file.read(1, 3)), 'ell');
  assert.match(await errorOf(() => file.read(3, 3)), /^file-truncated: .*a\.bin ends at byte 5, bytes 3…6 were asked for/);
  await file.close();
  const refused = (name: string) =>
    `path-escape: the path "${name}" leaves the folder DIR | files that a model or recipe refers to must lie in its own folder`;
  for (const name of ['../out.bin', '/etc/passwd', 'link.bin', 'x/../../out.bin', 'a\0b'])
    assert.is(await inDir(inside, () => host.open(inside, name)), refused(name));
  assert.is(
    await inDir(inside, () => host.open(inside, 'b.bin')),
    'file-missing: there is no file DIR/b.bin | check the path; names are case-sensitive',
  );
  assert.is(await inDir(dir.path, () => host.open(dir.path, 'in')), 'is-folder: DIR/in is not a regular file | name the file inside it');
  assert.equal(await host.list(inside), ['a.bin', 'fine.bin', 'link.bin']);
  assert.equal(await locate(join(inside, 'link.bin')), { folder: dir.path, file: 'out.bin' });
  dir.remove();
});

test('a file has its name only when it is committed', async () => {
  const dir = folder({ 'there.bin': 'old' });
  const at = (name: string) => join(dir.path, name);
  const file = await host.create(at('new.bin'), false);
  await file.write(Uint8Array.of(1, 2));
  await file.write(Uint8Array.of(3));
  assert.is(file.at, 3);
  assert.not(existsSync(at('new.bin')));
  await file.commit();
  assert.equal([...readFileSync(at('new.bin'))], [1, 2, 3]);
  const dropped = await host.create(at('dropped.bin'), false);
  await dropped.write(Uint8Array.of(1));
  await dropped.abort();
  assert.is(
    await inDir(dir.path, () => host.create(at('there.bin'), false)),
    'output-exists: DIR/there.bin exists | use --force to replace it, or -o another name',
  );
  const forced = await host.create(at('there.bin'), true);
  assert.is(readFileSync(at('there.bin'), 'utf8'), 'old');
  await forced.commit();
  assert.is(readFileSync(at('there.bin'), 'utf8'), '');
  assert.equal(readdirSync(dir.path).sort(), ['new.bin', 'there.bin']);
  dir.remove();
});

test('places that cannot be written', async () => {
  const dir = folder({ 'file.bin': 'x' });
  mkdirSync(join(dir.path, 'sub'));
  const create = (name: string) => inDir(dir.path, () => host.create(join(dir.path, name), false));
  assert.is(await create('nowhere/a.bin'), 'file-missing: there is no file DIR/nowhere | check the path; names are case-sensitive');
  assert.match(await create('file.bin/a.bin'), /^(not-folder|file-missing)/);
  assert.is(await create('sub'), 'is-folder: DIR/sub is a folder, a file is to be written there | give a file name');
  chmodSync(join(dir.path, 'sub'), 0o555);
  if (process.getuid?.() !== 0)
    assert.is(await create('sub/a.bin'), 'no-permission: no permission for DIR/sub | check the permissions of the file and its folder');
  if (existsSync('/dev/full')) {
    // A device that is always full, behind the same code: the temporary is a link to it.
    const { guarded } = await import('../../compiler/node/errors.ts');
    assert.is(
      await errorOf(() => guarded('/out/model.onnx', async () => writeFileSync('/dev/full', 'x'))),
      'disk-full: the disk is full, cannot write /out/model.onnx | free space or write somewhere else with -o',
    );
  }
  dir.remove();
});

test('scratch and unfinished files go at the end, on an error, and on SIGINT and SIGTERM', () => {
  const dir = folder({});
  const script = (end: string) => `
    import { nodeHost } from '${join(process.cwd(), 'compiler/node/host.ts')}';
    const run = async () => {
      const host = await nodeHost();
      const { writeFileSync } = await import('node:fs');
      writeFileSync((await host.scratch()) + '/x', 'x');
      const file = await host.create('${dir.path}/out.bin', false);
      await file.write(new Uint8Array(9));
      console.log(await host.scratch());
      ${end}
    };
    run();`;
  const wait = 'setTimeout(() => {}, 20000);';
  const ends: [string, number | null, string | null][] = [
    ['await host.close();', 0, null],
    ['process.exit(3);', 3, null],
    [`process.kill(process.pid, 'SIGINT'); ${wait}`, null, 'SIGINT'],
    [`process.kill(process.pid, 'SIGTERM'); ${wait}`, null, 'SIGTERM'],
  ];
  for (const [i, [end, status, signal]] of ends.entries()) {
    const path = join(dir.path, `run${i}.mts`);
    writeFileSync(path, script(end));
    const done = spawnSync(process.execPath, ['--import', 'tsx', path], { encoding: 'utf8' });
    assert.match(done.stdout, /qc-/, done.stderr);
    assert.equal([done.status, done.signal], [status, signal], end);
    assert.not(existsSync(done.stdout.trim()), end);
    assert.equal(
      readdirSync(dir.path).filter((n) => !n.startsWith('run')),
      [],
      end,
    );
  }
  dir.remove();
});

test('every type that ONNX Runtime for Node carries goes in and comes out', async () => {
  const types: DType[] = [
    'float16',
    'float32',
    'float64',
    'int8',
    'int16',
    'int32',
    'int64',
    'uint8',
    'uint16',
    'uint32',
    'uint64',
    'bool',
  ];
  for (const dtype of types) {
    const m = model(graph([info('x', dtype, ['n', 2])], [node('Identity', ['x'], ['y'])], [info('y', dtype, ['n', 2])]));
    const session = await host.session(m, '.');
    const x = valueFrom(dtype, [2, 2], [0, 1, 1, 0]);
    const { y } = await session.run({ x });
    assert.equal([y!.dtype, y!.shape, [...view(y!)]], [dtype, [2, 2], [...view(x)]]);
    // bytes that do not lie on the type's alignment
    const shifted = new Uint8Array(x.bytes.length + 1);
    shifted.set(x.bytes, 1);
    assert.equal([...view((await session.run({ x: { ...x, bytes: shifted.subarray(1) } }))['y']!)], [...view(x)]);
    await session.close();
  }
});

test('what ONNX Runtime refuses is an error for users', async () => {
  assert.match(await errorOf(() => openSession(new Uint8Array(10), '.')), /^session-load: ONNX Runtime cannot load the model: /);
  const m = model(graph([info('x', 'float32', ['n'])], [node('Identity', ['x'], ['y'])], [info('y', 'float32', ['n'])]));
  const half = model(graph([info('x', 'bfloat16', ['n'])], [node('Identity', ['x'], ['y'])], [info('y', 'bfloat16', ['n'])]));
  assert.is(
    await errorOf(() => host.session(half, '.')),
    'session-load: ONNX Runtime cannot load the model: it has an input or output of type bfloat16, which ONNX Runtime for Node cannot pass',
  );
  const session = await host.session(m, '.');
  assert.match(await errorOf(() => session.run({})), /^session-run: ONNX Runtime stopped: /);
  await session.close();
});

test('weights in files, in memory and computed; external data is never copied into the protobuf', async () => {
  const dir = folder({});
  const [a, b] = [numbers(64 * 64, 1), numbers(64 * 64, 2)];
  const net = model(
    graph(
      [info('x', 'float32', [1, 64])],
      [node('MatMul', ['x', 'A'], ['h']), node('MatMul', ['h', 'B'], ['y'])],
      [info('y', 'float32', [1, 64])],
      { A: floatTensor([64, 64], [...a]), B: floatTensor([64, 64], [...b]) },
    ),
  );
  await writeModel(host, net, join(dir.path, 'model.onnx'), { dir: dir.path, external: true });
  const loaded = await loadModel(host, join(dir.path, 'model.onnx'));
  const x = ofFloats([1, 64], numbers(64, 3));
  const run = async (made: { bytes: Uint8Array; folder: string }) => {
    const session = await openSession(made.bytes, made.folder, { threads: 1 });
    const { y } = await session.run({ x });
    await session.close();
    return [...floats(y!)];
  };
  const expected = await run(await sessionModel(net, '.', host));
  const inPlace = await sessionModel(loaded.model, loaded.dir, host);
  assert.ok(inPlace.bytes.length < 2000, `${inPlace.bytes.length}`);
  assert.is(
    inPlace.weights,
    [...loaded.model.graph.initializers.values()].reduce((n, t) => n + 4 * t.shape.reduce((a, b) => a * b, 1), 0),
  );
  assert.equal(await run(inPlace), expected);
  // One weight becomes lazy (twice itself); a limit of no bytes forces the scratch folder with a hard link to the other's file.
  const A = loaded.model.graph.initializers.get('A')!;
  const doubled = {
    ...A,
    source: {
      kind: 'lazy' as const,
      lazy: {
        key: '2A',
        part: 'value',
        evaluate: async () => ({ value: new Uint8Array(a.map((v) => 2 * v).buffer) }),
      },
    },
  };
  const mixed = {
    ...loaded.model,
    graph: { ...loaded.model.graph, initializers: new Map([...loaded.model.graph.initializers, ['A', doubled] as const]) },
  };
  const twice = expected.map((v) => 2 * v);
  assert.equal(await run(await sessionModel(mixed, loaded.dir, host)), twice);
  const spilled = await sessionModel(mixed, loaded.dir, host, 0);
  assert.ok(spilled.folder.startsWith(await host.scratch()) && spilled.bytes.length < 2000);
  assert.equal(await run(spilled), twice);
  dir.remove();
});

test.run();
