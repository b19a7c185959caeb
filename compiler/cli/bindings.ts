/** Repeatable `name=value` options. */
import { InvalidArgumentError } from 'commander';

export type Bindings = Readonly<Record<string, string>>;

/** Collects `--param k=v --param l=w` into a record; the same name twice is an error. */
export function binding(text: string, before: Bindings = {}): Bindings {
  const at = text.indexOf('=');
  const [name, value] = [text.slice(0, at).trim(), text.slice(at + 1)];
  if (at < 1 || !name) throw new InvalidArgumentError('It has the form name=value.');
  if (value === '') throw new InvalidArgumentError(`${name} has no value.`);
  if (name in before) throw new InvalidArgumentError(`${name} is given twice.`);
  return { ...before, [name]: value };
}
