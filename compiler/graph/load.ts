/** Reads ONNX models. Weights stay where they are: a tensor is a range of a file until somebody asks for its bytes. */
import { fail, QcError } from '../../grammar/diagnostics.ts';
import type { Host, ReadFile } from '../host.ts';
import { toModel } from './decode.ts';
import { MAX_IR, MAX_OPSET, type Message, MIN_OPSET } from './proto.ts';
import { decodeFile } from './stream.ts';
import type { FileRange, Model } from './types.ts';
import { validate } from './validate.ts';
import { decode, WireError } from './wire.ts';

export interface Loaded {
  readonly model: Model;
  /** The folder that the file ranges of its tensors refer to. */
  readonly dir: string;
  /** The model file's name in `dir`. */
  readonly file: string;
  /** The external data files, relative to `dir`; empty where all weights are inside the model file. */
  readonly external: readonly string[];
  /** Size of the model file and of the external data it uses. */
  readonly bytes: number;
}

/**
 * Loads a model of any size; no weight above 1 KiB is read.
 * @throws QcError `not-onnx`, `truncated-model`, `newer-ir`, `old-opset`, `newer-opset`, `bad-tensor`, `bad-attribute`, `bad-node`, `bad-external-data`,
 * `path-escape`, `duplicate-value`, `undefined-value`, `cyclic-graph`
 */
export async function loadModel(host: Pick<Host, 'open'>, path: string): Promise<Loaded> {
  const cut = Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\'));
  const dir = cut < 0 ? '.' : path.slice(0, Math.max(cut, 1));
  const file = path.slice(cut + 1);
  const input = await host.open(dir, file);
  try {
    const pending: Pending[] = [];
    const message = await named(
      path,
      input.size,
      async () => (await input.read(0, 1))[0],
      () => decodeFile('Model', input),
    );
    const model = build(message, path, file, pending);
    const sizes = await checkExternal(host, dir, pending);
    return { model, dir, file, external: [...sizes.keys()], bytes: [...sizes.values()].reduce((a, b) => a + b, input.size) };
  } finally {
    await input.close();
  }
}

/** Loads a model from memory. `name` is used in messages; external data is not checked. */
export async function loadModelFromBytes(bytes: Uint8Array, name = 'the model'): Promise<Model> {
  const message = await named(
    name,
    bytes.length,
    async () => bytes[0],
    async () => decode('Model', bytes),
  );
  return build(message, name, undefined, []);
}

type Pending = { range: FileRange; where: string };

/** ModelProto.ir_version, a varint: what every writer puts first. */
const FIRST_BYTE = 8;

async function named(
  path: string,
  size: number,
  first: () => Promise<number | undefined>,
  read: () => Promise<Message<'Model'>>,
): Promise<Message<'Model'>> {
  if (size === 0) fail('not-onnx', `"${path}" is empty (0 bytes)`, 'export or download the model again');
  try {
    return await read();
  } catch (e) {
    if (!(e instanceof WireError)) throw e;
    if ((await first()) !== FIRST_BYTE)
      return fail('not-onnx', `"${path}" is not an ONNX model`, 'give a .onnx file (a protobuf ModelProto)');
    const place = e.path === '' ? '' : ` in ${e.path}`;
    return e.kind === 'truncated'
      ? fail('truncated-model', `"${path}" is truncated${place}: ${e.message}`, 'the download or copy is incomplete; get the file again')
      : fail('not-onnx', `"${path}" is damaged${place}: ${e.message}`, 'get the file again');
  }
}

function build(message: Message<'Model'>, path: string, file: string | undefined, pending: Pending[]): Model {
  const ir = Number(message.ir_version ?? 0);
  if (message.graph === undefined || ir < 1) {
    const what = ir < 1 ? 'it has no ir_version' : 'it has no graph';
    fail('not-onnx', `"${path}" is not an ONNX model: ${what}`, 'give a .onnx file (a protobuf ModelProto)');
  }
  if (ir > MAX_IR) {
    fail('newer-ir', `"${path}" has IR version ${ir}; this compiler reads up to ${MAX_IR}`, 'export with an older opset, or update qc');
  }
  const model = inModel(path, () =>
    toModel(message, { ...(file === undefined ? {} : { file }), external: (range, where) => pending.push({ range, where }) }),
  );
  const opset = model.opsets.get('');
  if (opset !== undefined && opset < MIN_OPSET) {
    fail(
      'old-opset',
      `"${path}" uses opset ${opset}; this compiler reads opsets ${MIN_OPSET} to ${MAX_OPSET}`,
      'convert it: onnx.version_converter.convert_version(model, 17)',
    );
  }
  if (opset !== undefined && opset > MAX_OPSET) {
    fail(
      'newer-opset',
      `"${path}" uses opset ${opset}; this compiler reads opsets ${MIN_OPSET} to ${MAX_OPSET}`,
      'export with an older opset, or update qc',
    );
  }
  return validate(model);
}

/** Types inside value_info are decoded late, so they may break late. */
function inModel<T>(path: string, f: () => T): T {
  try {
    return f();
  } catch (e) {
    if (e instanceof WireError) return fail('not-onnx', `"${path}" is damaged in ${e.path}: ${e.message}`, 'get the file again');
    throw e;
  }
}

/** Every external range has to lie inside an existing file. Returns the files' sizes. */
async function checkExternal(host: Pick<Host, 'open'>, dir: string, pending: readonly Pending[]): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const { range, where } of pending) {
    let size = sizes.get(range.file);
    if (size === undefined) {
      size = await sizeOf(host, dir, range.file, where);
      sizes.set(range.file, size);
    }
    if (range.at + range.len > size) {
      fail(
        'bad-external-data',
        `${where} needs bytes ${range.at} to ${range.at + range.len} of "${range.file}", which has only ${size}`,
        'the data file is incomplete or belongs to another model; get it again',
      );
    }
  }
  return sizes;
}

async function sizeOf(host: Pick<Host, 'open'>, dir: string, file: string, where: string): Promise<number> {
  let f: ReadFile;
  try {
    f = await host.open(dir, file);
  } catch (e) {
    if (e instanceof QcError && e.diagnostics[0]?.code === 'path-escape') {
      return fail(
        'path-escape',
        `${where} has its data in "${file}": ${e.diagnostics[0].message}`,
        'external data has to lie beside the model or in a folder below it',
      );
    }
    return fail(
      'bad-external-data',
      `${where} has its data in "${file}", which cannot be opened in "${dir}"`,
      'put the data file beside the model',
    );
  }
  await f.close();
  return f.size;
}
