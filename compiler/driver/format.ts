/** `qc fmt` as a function. */
import { QcError } from '../../grammar/diagnostics.ts';
import { parse } from '../../grammar/parser.ts';
import { print } from '../../grammar/printer.ts';

/** The one canonical text of a recipe file, comments in place. Errors: every mistake of the syntax. */
export function format(text: string, file = 'recipe'): string {
  const { ast, diagnostics } = parse(text, file);
  const errors = diagnostics.filter((d) => d.severity === 'error');
  if (errors.length) throw new QcError(errors);
  return print(ast);
}
