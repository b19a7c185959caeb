/**
 * Diffusion models (inputs x, t, y; output eps): eval/trajectory.npz (float states and eps), eval/noise.npz (start and classes), eval/schedule.npz,
 * eval/reference.npz (float samples), eval/real_stats.npz, and judge.onnx (image → features, logits).
 */
import { floats, ofFloats, rows, valueFrom, view } from '../calibrate/values.ts';
import { loadModel } from '../graph/load.ts';
import type { Session, Value } from '../host.ts';
import { argmax, mean, readArrays, sqnr } from './arrays.ts';
import { frechet, moments } from './frechet.ts';
import { type Scores, type TaskRequest, withSessions } from './task.ts';

async function predict(session: Session, x: Value, t: number, y: Value): Promise<Float32Array> {
  const time = valueFrom('int64', [x.shape[0]!], new Float64Array(x.shape[0]!).fill(t));
  return floats((await session.run({ x, t: time, y }))[session.outputs[0]!]!);
}

/** One deterministic DDIM step with the clean image clipped to [−1, 1]: x' = √ā' · clip((x − √(1−ā) ε)/√ā) + √(1−ā') ε. */
function ddim(x: Float32Array, eps: Float32Array, now: number, next: number): Float32Array {
  return x.map((v, i) => {
    const clean = (v - Math.sqrt(1 - now) * eps[i]!) / Math.sqrt(now);
    return Math.sqrt(next) * Math.min(1, Math.max(-1, clean)) + Math.sqrt(1 - next) * eps[i]!;
  });
}

/** SQNR of eps along the float trajectory, PSNR after the rollout, the judge's accuracy and the Fréchet distance of the samples. */
export async function diffusionScores(request: TaskRequest): Promise<Scores> {
  const { host } = request;
  const folder = `${request.folder}/eval`;
  const read = (name: string) => readArrays(host, folder, name);
  const [schedule, noise, reference] = await Promise.all([read('schedule'), read('noise'), read('reference')]);
  const [trajectory, real] = await Promise.all([read('trajectory'), read('real_stats')]);
  const [kept, steps] = [schedule.numbers('alphas_cumprod'), schedule.numbers('steps')];
  const times = trajectory.numbers('t');
  const errors: number[] = [];
  const classes = noise.get('y');
  const shape = noise.get('x').shape;
  const samples = await withSessions(request, async (session) => {
    const row = (name: string, i: number): Value => {
      const value = rows(trajectory.get(name), i, i + 1);
      return { ...value, shape: value.shape.slice(1) };
    };
    for (const [i, t] of times.entries())
      errors.push(sqnr(floats(row('eps', i)), await predict(session, row('x', i), t, trajectory.get('y'))));
    let x = noise.floats('x');
    for (const [i, t] of steps.entries()) {
      const eps = await predict(session, ofFloats(shape, x), t, classes);
      x = ddim(x, eps, kept[t]!, i + 1 < steps.length ? kept[steps[i + 1]!]! : 1);
      request.onProgress?.(i + 1, steps.length);
    }
    return x;
  });
  const final = reference.floats('final');
  const mse = mean(samples.map((v, i) => v - final[i]!).map((d) => d * d));
  const judged = await judge(request, ofFloats(shape, samples));
  const labels = Array.from(view(classes), Number);
  const width = judged.logits.length / labels.length;
  const { mean: mu, covariance } = moments(judged.features, labels.length);
  return {
    eps_sqnr_db_mean: mean(errors),
    psnr_db: 10 * Math.log10(4 / Math.max(mse, 1e-30)),
    judge_accuracy: mean(labels.map((y, i) => Number(argmax(judged.logits, i * width, width) === y))),
    frechet: frechet(mu, covariance, real.numbers('mu'), real.numbers('sigma')),
    ...Object.fromEntries(Array.from(times, (t, i) => [`eps_sqnr_db.${t}`, errors[i]!])),
  };
}

async function judge(request: TaskRequest, image: Value): Promise<{ features: Float32Array; logits: Float32Array }> {
  const { model, dir } = await loadModel(request.host, `${request.folder}/judge.onnx`);
  const session = await request.host.session(model, dir);
  try {
    const out = await session.run({ image });
    const [features, logits] = session.outputs.map((name) => floats(out[name]!));
    return { features: features!, logits: logits! };
  } finally {
    await session.close();
  }
}
