import { fail } from '../../grammar/diagnostics.ts';
import type { Transform } from '../define.ts';
import { MOST_STEPS, tabulate } from '../fold/tabulate.ts';
import { list, num, ref } from '../schema.ts';

const params = {
  steps: list(num({ doc: 'A value of the step.' }), { doc: 'Every value that the step takes: those of the sampler.', optional: true }),
  format: ref('format', { doc: 'Number type of the table. Planned: it is float.', optional: true }),
};

const transform: Transform<typeof params> = {
  name: 'tabulate',
  since: '0.2.0',
  doc: 'On `temporal`, what has the step of a diffusion model as its only input: each value that leaves it becomes a row of a table over the listed steps, found by the value of the step, and the network that computed it goes. A step that is not listed is an error at run time. Exact.',
  cite: 'Huang et al., TFMQ-DM, 2024 (arXiv:2311.16503)',
  formula: 'g(t) = T[k], steps_k = t, T_k = g(steps_k)',
  params,
  later: ['format'],
  stage: () => -1,
  async apply(job, p) {
    const steps = (p.steps as readonly number[] | undefined) ?? [];
    if (steps.length === 0)
      fail('steps-missing', '`transform tabulate` needs the steps.', 'Write { steps: [999, 979, 958] }: those of the sampler.');
    if (steps.length > MOST_STEPS || new Set(steps).size !== steps.length)
      fail('steps-missing', `\`steps\` has ${steps.length} entries: it takes up to ${MOST_STEPS}, each once.`);
    await tabulate(job, job.picked, steps);
  },
};
export default transform;
