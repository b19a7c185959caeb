import { fail } from '../../grammar/diagnostics.ts';
import { loadModel } from '../graph/load.ts';
import type { Host } from '../host.ts';
import { classifyScores } from './classify.ts';
import { decodeScores } from './decode.ts';
import { diffusionScores } from './diffusion.ts';
import { embeddingScores } from './embedding.ts';
import { languageScores } from './language.ts';
import type { Located, Scores, TaskRequest } from './task.ts';

/** Which evaluation a fixture asks for, by the first of these files that its eval folder has. */
const tasks: readonly (readonly [file: string, run: (request: TaskRequest) => Promise<Scores>])[] = [
  ['tokens.npz', (r) => (r.decode ? decodeScores(r) : languageScores(r))],
  ['queries.npz', embeddingScores],
  ['noise.npz', diffusionScores],
  ['test.npz', classifyScores],
];

export interface FixtureOptions {
  /** Language models: token by token through the caches. */
  readonly decode?: boolean;
  /** Language models: only the first windows. */
  readonly windows?: number;
  readonly onProgress?: (done: number, of: number) => void;
}

/**
 * The task metrics of a fixture folder (model.onnx, eval/*.npz) for a model: its path, the model itself, or the folder's float model when absent.
 * Errors: eval-unknown (no evaluation set that we know), and those of loading and running.
 */
export async function evaluateFixture(
  host: Host,
  folder: string,
  judged?: string | Located,
  options: FixtureOptions = {},
): Promise<Scores> {
  const files = await host.list(`${folder}/eval`);
  const task = tasks.find(([file]) => files.includes(file));
  if (!task)
    return fail(
      'eval-unknown',
      `${folder}/eval has none of ${tasks.map(([f]) => f).join(', ')}`,
      'give data with --data to compare two models instead',
    );
  const reference = await loadModel(host, `${folder}/model.onnx`);
  const chosen = judged === undefined ? reference : typeof judged === 'string' ? await loadModel(host, judged) : judged;
  return task[1]({ host, folder, reference, judged: chosen, decode: options.decode ?? false, ...pick(options) });
}

const pick = ({ windows, onProgress }: FixtureOptions) => ({
  ...(windows === undefined ? {} : { windows }),
  ...(onProgress === undefined ? {} : { onProgress }),
});
