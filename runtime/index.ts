/**
 * `import 'qrecipe/runtime'`: from then on a plain `InferenceSession.create(path)` of onnxruntime-node runs models of target native on our
 * kernels. Where there is no native addon, nothing changes: such models run through their reference bodies.
 */
import { createRequire } from 'node:module';
import type { InferenceSession } from 'onnxruntime-node';
import { findAddon } from './addon.ts';
import { packageFolder } from './crunch.ts';
import { Loop } from './loop.ts';
import { registerBackend } from './session.ts';
import type { Ort } from './tensors.ts';

// Through require: it is the copy of onnxruntime-common that onnxruntime-node itself uses.
const ort = createRequire(import.meta.url)('onnxruntime-node') as Ort;
const found = await findAddon(await packageFolder());
if (typeof found !== 'string') registerBackend(ort, found.addon);

/** Do sessions of this process run qc.v1 operators on our kernels? */
export const active = typeof found !== 'string';

/** Steps of a model with caches or states (a decode loop) over a session: what a step puts out, the next takes in, without copies. */
export const loop = (session: InferenceSession): Loop => new Loop(ort, session);
export type { Loop };
