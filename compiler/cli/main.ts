#!/usr/bin/env node
/** The `qc` program. */
import { setFlagsFromString } from 'node:v8';
import { processIo } from './io.ts';
import { run } from './run.ts';

// Most commands are over before optimised code pays: compiling it took a tenth of the processor time of a solve on a small model.
setFlagsFromString('--interrupt-budget=1000000');
// A closed pipe (`qc … | head`) is no error.
process.stdout.on('error', (e: NodeJS.ErrnoException) => {
  if (e.code === 'EPIPE') process.exit(0);
  throw e;
});
process.exitCode = await run(process.argv.slice(2), processIo());
