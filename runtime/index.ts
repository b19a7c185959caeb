/**
 * `import 'qrecipe/runtime'`: from then on a plain `InferenceSession.create(path)` of onnxruntime-node runs models of target native on our
 * kernels. Where the native addon is not built, nothing changes: such models run through their reference bodies.
 */
import { createRequire } from 'node:module';
import { packageFolder } from './crunch.ts';
import { registerBackend, type SessionAddon } from './session.ts';

// Through require: it is the copy of onnxruntime-common that onnxruntime-node itself uses.
const require = createRequire(import.meta.url);

function loadAddon(path: string): SessionAddon | undefined {
  try {
    const addon = require(path) as Partial<SessionAddon>;
    return addon.openSession ? (addon as SessionAddon) : undefined;
  } catch {
    return undefined;
  }
}

const addon = loadAddon(`${await packageFolder()}/runtime/native/qc.${process.platform}-${process.arch}.node`);
if (addon) registerBackend(require('onnxruntime-node'), addon);

/** Do sessions of this process run qc.v1 operators on our kernels? */
export const active = addon !== undefined;
