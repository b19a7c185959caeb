/** The rows of docs/measured/transforms.md: schemes with and without each transform, and whole systems. */
import { flexq } from './flexq.ts';
import { int4 } from './int4.ts';
import { int8 } from './int8.ts';
import { minilm } from './minilm.ts';
import type { Row } from './statements.ts';
import { weights } from './weights.ts';

export const rows: Readonly<Record<string, Row>> = { ...int8, ...weights, ...int4, ...flexq, ...minilm };
