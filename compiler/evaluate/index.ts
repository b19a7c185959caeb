/** How good a model is: task metrics of fixtures, two models on data, speed. */
export { Answers, type CompareRequest, type Comparison, compare, compareModels, type Measured } from './compare.ts';
export { evaluateFixture, type FixtureOptions } from './fixture.ts';
export { type Race, type Runner, race } from './speed.ts';
export type { Located, Scores } from './task.ts';
