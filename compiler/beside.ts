/** The path of a file that `use "./…"` or `use "../…"` names, seen from the file `from`; what climbs above both begins with `..`. */
export function beside(from: string, spec: string): string {
  const parts = from.split('/').slice(0, -1);
  for (const p of spec.split('/')) {
    if (p === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (p !== '.' && p !== '') parts.push(p);
  }
  return parts.join('/');
}

/** Is what a `use` names a file, and not a package? */
export const isFile = (spec: string): boolean => /^\.{0,2}\//.test(spec);
