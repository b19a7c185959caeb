/** Numbers with units, and texts in quotes. */
import { closest, distance } from 'fastest-levenshtein';
import type { Expr, Text } from './ast.ts';
import type { Diagnostic, Span } from './diagnostics.ts';

export const units = ['dB', '%', 'x', 'B', 'KB', 'MB', 'GB', 'ms', 'M'] as const;

/** A backslash stands for itself except before a quote or a backslash, so regular expressions stay readable. */
export const textNode = (image: string, span: Span): Text => ({
  kind: 'string',
  value: image.includes('\\') ? image.slice(1, -1).replace(/\\(["\\])/g, '$1') : image.slice(1, -1),
  span,
});
export const quote = (value: string): string => `"${value.replace(/\\(?=["\\]|$)|"/g, '\\$&')}"`;

/** `image` is digits and whatever letters touch them. An unknown unit is reported and left out. */
export function numberNode(image: string, span: Span, report: (d: Diagnostic) => void): Expr {
  if (/^\d+$/.test(image)) return { kind: 'number', text: image, value: Number(image), span };
  const [, text = image, unit = ''] = /^(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(.*)$/.exec(image) ?? [];
  const value = Number(text);
  if (unit === '') return { kind: 'number', text, value, span };
  if ((units as readonly string[]).includes(unit)) return { kind: 'number', text, value, unit, span };
  const near = units.find((u) => u.toLowerCase() === unit.toLowerCase()) ?? closest(unit, [...units]);
  const plausible = near.toLowerCase() === unit.toLowerCase() || (unit.length > 1 && distance(near, unit) <= 1);
  report({
    code: 'unknown-unit',
    severity: 'error',
    message: `\`${unit}\` is not a unit`,
    span,
    hint: plausible ? `Did you mean \`${text}${near}\`?` : `Units are ${units.join(', ')}; x is times the float model, M is a million.`,
    ...(plausible ? { fix: { span, text: `${text}${near}` } } : {}),
  });
  return { kind: 'number', text, value, span };
}
