/**
 * The backend `qc` of onnxruntime-node: sessions with our operators registered, on the ONNX Runtime that it ships. Models without operators of
 * `qc.v1`, and options that we do not serve, go to the stock backend.
 */
import type { InferenceSession as Session } from 'onnxruntime-node';
import { type Addon, runtimeLibrary } from './addon.ts';
import { type Handler, handlerOf, type SessionSettings } from './handler.ts';
import type { Ort } from './tensors.ts';

const DOMAIN = 'qc.v1';
/** Options that our sessions understand, where they have these values; with any other the stock backend serves. */
const served: Readonly<Record<string, (value: unknown) => boolean>> = {
  executionProviders: () => true,
  intraOpNumThreads: () => true,
  // Operators run one after another: there is nothing between them.
  interOpNumThreads: () => true,
  executionMode: (mode) => mode === 'sequential',
  graphOptimizationLevel: (level) => String(level) in levels,
  enableCpuMemArena: () => true,
  enableMemPattern: () => true,
  enableProfiling: () => true,
  profileFilePrefix: () => true,
  freeDimensionOverrides: () => true,
  logId: () => true,
  logSeverityLevel: () => true,
  logVerbosityLevel: () => true,
  preferredOutputLocation: (where) =>
    (typeof where === 'string' ? [where] : Object.values(where as object)).every((w) => w === 'cpu' || w === 'ml-tensor'),
  extra: () => true,
};
const levels: Readonly<Record<string, number>> = { disabled: 0, basic: 1, extended: 2, layout: 3, all: 99 };

/** Does a model's file import our domain? Read piece by piece: the name may lie anywhere. */
export async function usesDomain(model: string | Uint8Array): Promise<boolean> {
  if (typeof model !== 'string') return Buffer.from(model.buffer, model.byteOffset, model.byteLength).includes(DOMAIN);
  const { open } = await import('node:fs/promises');
  const file = await open(model).catch(() => undefined);
  if (!file) return false;
  try {
    const piece = Buffer.alloc(4 << 20);
    for (let at = 0, kept = 0; ; ) {
      const { bytesRead } = await file.read(piece, kept, piece.length - kept, at);
      if (bytesRead === 0) return false;
      const end = kept + bytesRead;
      if (piece.subarray(0, end).includes(DOMAIN)) return true;
      at += bytesRead;
      kept = Math.min(DOMAIN.length - 1, end);
      piece.copyWithin(0, end - kept, end);
    }
  } finally {
    await file.close();
  }
}

/** Session configuration entries from `extra: { session: { key: value } }`, as onnxruntime-node names them. */
function configOf(extra: unknown): string[] {
  const session = (extra as { session?: Record<string, unknown> } | undefined)?.session ?? {};
  return Object.entries(session).flatMap(([key, value]) => [`session.${key}`, String(value)]);
}

function settingsOf(o: Session.SessionOptions): SessionSettings {
  return {
    threads: o.intraOpNumThreads ?? 0,
    config: configOf(o.extra),
    optimize: levels[o.graphOptimizationLevel ?? 'all']!,
    arena: o.enableCpuMemArena ?? true,
    // A plan of memory by shapes is kept beside the arena: activations twice, and of no use where shapes grow with each token.
    pattern: o.enableMemPattern ?? false,
    kernels: true,
    flush: false,
    dimensions: Object.entries(o.freeDimensionOverrides ?? {}).flatMap(([name, size]) => [name, String(size)]),
    ...(o.enableProfiling ? { profile: o.profileFilePrefix ?? 'onnxruntime_profile_' } : {}),
  };
}

/**
 * Puts the backend `qc` before the stock one of `ort` (the object that `onnxruntime-node` exports): after this a plain
 * `InferenceSession.create(path)` runs models of target native on our kernels; `executionProviders: ['cpu']` is still stock.
 * `executionProviders: ['qc']` is ours also for models without our operators. Outputs that `preferredOutputLocation` sends to `ml-tensor` stay in ONNX Runtime's memory: such a tensor can be fed again without a copy,
 * `getData()` copies it, `dispose()` frees it.
 */
export function registerBackend(ort: Ort, addon: Addon): void {
  const backend = {
    init: async () => {},
    async createInferenceSessionHandler(model: string | Uint8Array, options: Session.SessionOptions = {}): Promise<Handler> {
      const ours =
        Object.entries(options).every(([key, value]) => value === undefined || served[key]?.(value)) && (await usesDomain(model));
      if (!ours) {
        const stock = { ...options, executionProviders: ['cpu'] };
        const session = typeof model === 'string' ? ort.InferenceSession.create(model, stock) : ort.InferenceSession.create(model, stock);
        return ((await session) as unknown as { handler: Handler }).handler;
      }
      const session = await addon.openSession(await runtimeLibrary(), model, settingsOf(options));
      const where = options.preferredOutputLocation ?? 'cpu';
      const location = (output: string) => (typeof where === 'string' ? where : ((where as Record<string, string>)[output] ?? 'cpu'));
      return handlerOf(ort, session, location, options.enableProfiling === true);
    },
  };
  ort.registerBackend('qc', backend as never, 200);
}
