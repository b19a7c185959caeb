import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { Crunch } from '../crunch.ts';
import type { Host } from '../host.ts';
import type { OpenBackground } from './background.ts';
import { startCleanup } from './cleanup.ts';
import { createFile, listFiles, openBelow } from './files.ts';
import { lazyCrunch } from './lazy.ts';
import { openWorkspace } from './workspace.ts';

export { locate } from './files.ts';

export interface NodeHostOptions {
  /** The heavy loops; default: `runtime/crunch.ts`, loaded at the first call. */
  readonly crunch?: Crunch;
  /** Threads of every session that does not say; default ONNX Runtime's own choice. */
  readonly threads?: number;
  /** `session.qdq_matmulnbits_accuracy_level`; default 1 (float32). */
  readonly accuracyLevel?: 0 | 1 | 4;
  /** Sessions run operators of qc.v1 on our kernels; default: through their bodies. */
  readonly kernels?: boolean;
}

/** The effects of a run on this machine: files, ONNX Runtime sessions, crunch. `close` removes temporaries and scratch; exit and signals do so too. */
export interface NodeHost extends Host {
  close(): Promise<void>;
}

/** Weights of more bytes are not copied for a session: it would hold the whole model twice. */
const LEAN = 1 << 30;
/** Runs at once at most: each holds the activations of a batch. */
const LANES = 4;

/** Makes the host of one run. Loads neither ONNX Runtime nor native code until they are used. */
export async function nodeHost(options: NodeHostOptions = {}): Promise<NodeHost> {
  const cleanup = startCleanup();
  const crunch = options.crunch ?? lazyCrunch();
  let opening: Promise<OpenBackground | undefined> | undefined;
  const inBackground = () => {
    opening ??= import('./background.ts').then((m) => m.backgroundSessions());
    return opening;
  };
  const host: NodeHost = {
    crunch,
    open: openBelow,
    list: listFiles,
    create: (path, force) => createFile(path, force, cleanup),
    async session(model, dir, wanted = {}) {
      const [background, { sessionModel }] = await Promise.all([options.kernels ? undefined : inBackground(), import('./encode.ts')]);
      const { bytes, folder, weights } = await sessionModel(model, dir, host);
      const threads = wanted.threads ?? options.threads;
      const open = background ?? (await import('./session.ts')).openSession;
      return open(bytes, folder, {
        ...(threads === undefined ? {} : { threads }),
        ...(options.kernels || (background && wanted.kernels) ? { kernels: true } : {}),
        ...(weights > LEAN ? { lean: true } : {}),
        ...(options.accuracyLevel === undefined ? {} : { accuracyLevel: options.accuracyLevel }),
      });
    },
    async lanes() {
      const threads = options.threads ?? availableParallelism();
      const kernels = (await inBackground()) !== undefined;
      const runs = kernels ? Math.min(threads, LANES) : 1;
      return { runs, threads: Math.max(1, Math.floor(threads / runs)), kernels };
    },
    async speed(models, threads) {
      const { measureSpeed } = await import('./speed.ts');
      return measureSpeed(models, threads ?? options.threads);
    },
    now: () => performance.now(),
    workspace: (path, mark, keep) => openWorkspace(path, mark, keep, cleanup),
    scratch: async () => cleanup.scratch(),
    async close() {
      cleanup.close();
      if (options.crunch === undefined) await crunch.close();
    },
  };
  return host;
}
