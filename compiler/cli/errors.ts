/** Errors as people and programs read them, and the exit status that they mean. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Diagnostic, QcError } from '../../grammar/diagnostics.ts';
import { type Colors, frames } from '../../grammar/frame.ts';
import { systemError } from '../node/errors.ts';
import { type Exit, exit } from './exit.ts';
import type { Io } from './io.ts';
import { style } from './style.ts';

export function colors(io: Io): Colors {
  const s = style(io);
  return { error: (t) => s.red(s.bold(t)), warning: (t) => s.yellow(s.bold(t)), info: s.cyan, dim: s.dim, bold: s.bold };
}

/** Frames of diagnostics; texts come from `sources`, else from the files themselves. */
export function render(all: readonly Diagnostic[], io: Io, sources: ReadonlyMap<string, string> = new Map()): string {
  const text = (file: string): string | undefined => {
    try {
      return sources.get(file) ?? readFileSync(resolve(io.cwd, file), 'utf8');
    } catch {
      return undefined;
    }
  };
  return `${frames(all, text, colors(io))}\n`;
}

/** Prints what went wrong. Wrong input: frames and status 2, never a stack trace. Anything else is a bug of qc: status 3, the stack only with QC_DEBUG=1. */
export function report(thrown: unknown, io: Io, json: boolean, sources?: ReadonlyMap<string, string>): Exit {
  const path = thrown instanceof Error && 'path' in thrown ? String(thrown.path) : 'a file';
  const error = systemError(thrown, path);
  const wrong = error instanceof QcError;
  const diagnostics: readonly Diagnostic[] = wrong
    ? error.diagnostics
    : [
        {
          code: 'internal',
          severity: 'error',
          message: `this is a bug of qc: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`,
          hint: 'please report it with the recipe and `qc inspect --json` of the model; QC_DEBUG=1 prints where it happened',
        },
      ];
  if (json) io.out(`${JSON.stringify({ ok: false, diagnostics }, null, 2)}\n`);
  else io.err(render(diagnostics, io, sources));
  if (!wrong && io.env['QC_DEBUG'] === '1' && error instanceof Error) io.err(`${error.stack}\n`);
  return wrong ? exit.input : exit.internal;
}
