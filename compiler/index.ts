/** The public library: `import { compile, check, format, inspect, explain, evaluate } from 'qrecipe'`. */
export { type Diagnostic, QcError, type Span } from '../grammar/diagnostics.ts';
export { type Bisection, type BisectOptions, bisect, type SuspectPort, type SuspectStatement } from './bisect.ts';
export { type Checked, type CheckOptions, check, type Resolver, type SourceText } from './check/check.ts';
export { type CompileOptions, type CompileResult, compile, type Dump, type Event, type PlanOptions, type Required } from './compile.ts';
export type { Crunch } from './crunch.ts';
export { format } from './driver/format.ts';
export { bindingOf } from './driver/metadata.ts';
export { upgrade } from './driver/upgrade.ts';
export { type CompareRequest, type Comparison, compare, compareModels } from './evaluate/index.ts';
export { type ExplainedPort, type Explanation, explain, explanationText } from './explain.ts';
export { loadModel, loadModelFromBytes } from './graph/load.ts';
export type { Model } from './graph/types.ts';
export type { Host, Session, Value } from './host.ts';
export { type InspectReport, inspect, inspectionText } from './inspect.ts';
export { findSites } from './match/find.ts';
export { type NodeHost, nodeHost } from './node/host.ts';
export { nodeResolver } from './node/resolve.ts';
export type { ReportData } from './report/data.ts';
export type { Site, Sites } from './sites.ts';

import type { ReportData } from './report/data.ts';

/** The report as one HTML file. The plotting library is loaded only here. */
export const renderReport = async (data: ReportData): Promise<string> => (await import('./report/page.ts')).renderReport(data);
