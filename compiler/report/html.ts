/** HTML as tagged templates: what is put in is escaped, unless it is HTML already. */
export class Html {
  constructor(readonly text: string) {}
}
type Part = string | number | Html | undefined | false | readonly Part[];

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const put = (p: Part): string =>
  p === undefined || p === false
    ? ''
    : p instanceof Html
      ? p.text
      : Array.isArray(p)
        ? p.map(put).join('')
        : String(p).replace(/[&<>"']/g, (c) => escapes[c]!);

export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(strings.reduce((text, s, i) => text + put(parts[i - 1]) + s));
}
/** Text that is HTML already (our own SVG). */
export const raw = (text: string): Html => new Html(text);
