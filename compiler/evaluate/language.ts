/** Language models: eval/tokens.npz (windows of token ids), eval/reference.npz (float32 nll and top1 of each position). */
import { tokenFeeds } from '../calibrate/tokens.ts';
import { floats } from '../calibrate/values.ts';
import kl from '../metrics/kl.ts';
import { argmax, mean, readArrays } from './arrays.ts';
import { type Scores, type TaskRequest, withSessions } from './task.ts';

const together = 4;

/** −ln softmax(row)[target]. */
export function nll(logits: Float32Array, at: number, vocabulary: number, target: number): number {
  let top = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < vocabulary; i++) top = Math.max(top, logits[at + i]!);
  let sum = 0;
  for (let i = 0; i < vocabulary; i++) sum += Math.exp(logits[at + i]! - top);
  return Math.log(sum) + top - logits[at + target]!;
}

/** The windows of eval/tokens.npz as rows of ids. */
export async function readWindows(request: TaskRequest, most?: number): Promise<{ ids: number[][]; length: number }> {
  const arrays = await readArrays(request.host, `${request.folder}/eval`, 'tokens');
  const [rows = 0, length = 0] = arrays.get('tokens').shape;
  const flat = arrays.numbers('tokens');
  const count = Math.min(rows, most ?? rows);
  return { ids: Array.from({ length: count }, (_, i) => [...flat.subarray(i * length, (i + 1) * length)]), length };
}

/** perplexity, agreement with the float top-1, nll_diff with its standard error, mean KL to float. */
export async function languageScores(request: TaskRequest): Promise<Scores> {
  const { ids, length } = await readWindows(request, request.windows);
  const reference = await readArrays(request.host, `${request.folder}/eval`, 'reference');
  const [referenceNll, top1] = [reference.numbers('nll'), reference.numbers('top1')];
  const steps = length - 1;
  const losses = new Float64Array(ids.length * steps);
  const divergence = kl.start();
  let agreed = 0;
  await withSessions(request, async (session, float) => {
    for (let from = 0; from < ids.length; from += together) {
      const chosen = ids.slice(from, from + together);
      const inputs = chosen.map((w) => w.slice(0, -1));
      const logits = await run(session, request.judged, inputs);
      const vocabulary = logits.length / (inputs.length * steps);
      kl.fold(divergence, float === session ? logits : await run(float, request.reference, inputs), logits, vocabulary);
      chosen.forEach((window, w) => {
        for (let t = 0; t < steps; t++) {
          const at = (w * steps + t) * vocabulary;
          const i = (from + w) * steps + t;
          losses[i] = nll(logits, at, vocabulary, window[t + 1]!);
          if (argmax(logits, at, vocabulary) === top1[i]) agreed++;
        }
      });
      request.onProgress?.(Math.min(from + together, ids.length), ids.length);
    }
  });
  const differences = losses.map((x, i) => x - referenceNll[i]!);
  const byWindow = ids.map((_, w) => mean(differences.subarray(w * steps, (w + 1) * steps)));
  const center = mean(byWindow);
  const variance = byWindow.reduce((sum, d) => sum + (d - center) ** 2, 0) / (byWindow.length - 1);
  return {
    perplexity: Math.exp(mean(losses)),
    agreement: agreed / losses.length,
    nll_diff: mean(differences),
    nll_diff_se: Math.sqrt(variance / byWindow.length),
    kl: kl.finish(divergence),
  };
}

async function run(
  session: import('../host.ts').Session,
  { model }: import('./task.ts').Located,
  windows: readonly (readonly number[])[],
): Promise<Float32Array> {
  const out = await session.run(tokenFeeds(model.graph, windows), ['logits']);
  return floats(out['logits']!);
}
