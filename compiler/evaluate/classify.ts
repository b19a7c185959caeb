/** Classifiers: eval/test.npz (the input, and `label`), eval/reference.npz (float logits). */
import { floats, view } from '../calibrate/values.ts';
import { argmax, mean, readArrays, sqnr } from './arrays.ts';
import { type Scores, type TaskRequest, withSessions } from './task.ts';

/** top1 accuracy, agreement with the float top-1, SQNR of the logits. */
export async function classifyScores(request: TaskRequest): Promise<Scores> {
  const folder = `${request.folder}/eval`;
  const [test, reference] = await Promise.all([readArrays(request.host, folder, 'test'), readArrays(request.host, folder, 'reference')]);
  const logits = await withSessions(request, async (session) => {
    const out = await session.run({ [session.inputs[0]!]: test.get(session.inputs[0]!) });
    return floats(out[session.outputs[0]!]!);
  });
  const expected = reference.floats('logits');
  const labels = Array.from(view(test.get('label')), Number);
  const classes = logits.length / labels.length;
  const chosen = labels.map((_, i) => argmax(logits, i * classes, classes));
  return {
    top1: mean(chosen.map((c, i) => Number(c === labels[i]))),
    agreement: mean(chosen.map((c, i) => Number(c === argmax(expected, i * classes, classes)))),
    logits_sqnr_db: sqnr(expected, logits),
  };
}
