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

/** `batch=1,seq=128`: sizes of inputs by name. */
export function sizes(text: string): Record<string, number> {
  const one: Record<string, number> = {};
  for (const part of text.split(',')) {
    const [, name, size] = /^([^=]+)=(\d+)$/.exec(part.trim()) ?? [];
    if (name === undefined || Number(size) > 2 ** 24) throw new InvalidArgumentError(`"${part}" is no name=n with a whole number.`);
    one[name] = Number(size);
  }
  return one;
}
