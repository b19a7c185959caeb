#!/usr/bin/env node
/** The `qc` program. */
import { processIo } from './io.ts';
import { run } from './run.ts';

// A closed pipe (`qc … | head`) is no error.
process.stdout.on('error', (e: NodeJS.ErrnoException) => {
  if (e.code === 'EPIPE') process.exit(0);
  throw e;
});
process.exitCode = await run(process.argv.slice(2), processIo());
