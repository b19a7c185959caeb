import { InferenceSession } from 'onnxruntime-node';
import { fail } from '../../grammar/diagnostics.ts';
import type { Session } from '../host.ts';
import { configOf, reason, type SessionOptions } from './session-options.ts';
import { fromTensor, toTensor } from './tensors.ts';

/**
 * An ONNX Runtime session on the CPU over an encoded model whose external data lies in `folder`.
 * Errors: session-load (ONNX Runtime refuses the model), session-run, io-type.
 */
export async function openSession(model: Uint8Array, folder: string, options: SessionOptions = {}): Promise<Session> {
  if (options.kernels) await import('../../runtime/index.ts');
  const session = await InferenceSession.create(model, {
    ...(options.kernels ? {} : { executionProviders: ['cpu'] }),
    intraOpNumThreads: options.threads ?? 0,
    graphOptimizationLevel: options.optimize === 'off' ? 'disabled' : 'all',
    logSeverityLevel: 3,
    extra: { session: configOf(folder, options) },
  }).catch((e: unknown) => fail('session-load', `ONNX Runtime cannot load the model: ${reason(e)}`));
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    async run(feeds, fetch) {
      const tensors = Object.fromEntries(Object.entries(feeds).map(([name, value]) => [name, toTensor(name, value)]));
      const results = await session
        .run(tensors, fetch ? [...fetch] : session.outputNames)
        .catch((e: unknown) => fail('session-run', `ONNX Runtime stopped: ${reason(e)}`));
      return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, fromTensor(name, tensor)]));
    },
    close: () => session.release(),
  };
}
