/** Calibration: sources of data, streaming observation, the statistics record. */
export { type CalibrateRequest, calibrate, type Need, type Progress } from './calibrate.ts';
export { type DataOptions, dataSource } from './data.ts';
export { observerFor, rangeOf, rangesOf } from './range.ts';
export { decodeStatistics, encodeStatistics } from './record.ts';
export type { Batch, Source } from './source.ts';
export { type Arrays, type Entry, type Provenance, refText, Statistics } from './statistics.ts';
export { type TextOptions, textSource } from './text.ts';
