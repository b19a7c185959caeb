/** Sessions of ONNX Runtime Web: the node code over another package (`onnxruntime-node` is an alias here). Loaded, with its wasm, only when something is run. */
import wasmUrl from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import { env } from 'onnxruntime-web/wasm';

env.wasm.wasmPaths = { wasm: wasmUrl };
// More threads need cross-origin isolation, which a static host seldom gives.
env.wasm.numThreads = 1;
env.logLevel = 'error';

export { openSession } from '../../compiler/node/session.ts';
