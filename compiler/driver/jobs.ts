/** Which layers are solved, by whom, in which order and together with which others. */
import type { Solver } from '../define.ts';
import type { Model } from '../graph/types.ts';
import { failAt } from '../plan/bind.ts';
import type { Planned } from '../plan/plan.ts';
import type { PlannedSolve } from '../plan/types.ts';
import type { EncodedWeight, Simulated } from '../simulated.ts';
import type { Site } from '../sites.ts';
import { solvers } from '../solvers/index.ts';

export interface Job {
  readonly planned: PlannedSolve;
  readonly solver: Solver;
  readonly weight: EncodedWeight;
  /** Index of the site's last node in the graph. */
  readonly at: number;
}

/** Layers that are solved on the same pass. `from`: where they begin in the graph. */
export interface Stage {
  readonly jobs: readonly Job[];
  readonly block: number | undefined;
  readonly from: number;
}

/** What a job costs: factors n³, the sweep out·n². */
export const workOf = ({ weight: { out, reduce } }: Job): number => reduce * reduce * (out + reduce);

/** How much of the work is done. */
export class Work {
  readonly total: number;
  #done = 0;

  constructor(jobs: readonly Job[]) {
    this.total = jobs.reduce((sum, j) => sum + workOf(j), 0);
  }

  done(job: Job): number {
    this.#done += workOf(job);
    return this.#done;
  }
}

/** Where a layer is kept: one solver finds its weights, another their codes. */
export const nameOf = ({ planned }: Job): string =>
  planned.decides === 'codes' ? planned.site.id : `${planned.site.id}#${planned.decides}`;

export function placesOf(model: Model): (site: Site) => number {
  const index = new Map(model.graph.nodes.flatMap((n, i) => n.outputs.map((o) => [o, i] as const)));
  return (site) => Math.max(...site.nodes.flatMap((n) => n.outputs.map((o) => index.get(o) ?? -1)));
}

export function jobsOf(plan: Planned, simulated: Simulated, place: (s: Site) => number): Job[] {
  const jobs = plan.solves
    .filter((p) => p.decides !== 'correction')
    .map((planned): Job => {
      const solver = solvers.find((x) => x.name === planned.solver.name) as Solver | undefined;
      const weight = simulated.weights.find((w) => w.site.id === planned.site.id && w.port === 'weight');
      if (!solver || !weight) throw new Error(`${planned.site.id}: ${planned.solver.name} has nothing to solve`);
      const why =
        solver.covers(weight, planned.solver.args as never) ??
        (planned.site.ports['input'] ? undefined : 'its input is no value of the graph');
      if (why)
        failAt(
          'solve-refused',
          `\`${solver.name}\` cannot solve ${planned.site.path}: ${why}.`,
          planned.by.span,
          'Leave it out of the selection, or change its type.',
        );
      return { planned, solver, weight, at: place(planned.site) };
    });
  return jobs.sort((a, b) => a.at - b.at);
}

/** Runs of one block in the order of the graph; with `single`, cut again at each value that layers read. */
export function stagesOf(jobs: readonly Job[], single: boolean): Stage[] {
  const runs: Job[][] = [];
  const input = (j: Job) => j.planned.site.ports['input']!.value;
  for (const job of jobs) {
    const last = runs.at(-1);
    const mate = last?.[0];
    if (last && mate && mate.planned.site.block === job.planned.site.block && (!single || input(mate) === input(job))) last.push(job);
    else runs.push([job]);
  }
  return runs.map((jobs) => ({ jobs, block: jobs[0]!.planned.site.block, from: jobs[0]!.at }));
}
