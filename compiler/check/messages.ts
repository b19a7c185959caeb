/** The catalogue of what `check` can say: code → message and hint. Names come in as the user wrote them. */

const or = (all: readonly string[], most = 12): string =>
  all.length > most ? `${all.slice(0, most).join(', ')}, …` : all.length ? all.join(', ') : 'nothing';
const an = (noun: string): string => (/^[aeiou]/.test(noun) ? `an ${noun}` : `a ${noun}`);

interface Said {
  readonly message: string;
  readonly hint?: string;
}
const say = (message: string, hint?: string): Said => ({
  message: message.charAt(0).toUpperCase() + message.slice(1),
  ...(hint === undefined ? {} : { hint }),
});
const meant = (near: string | undefined, otherwise?: string): string | undefined => (near ? `Did you mean \`${near}\`?` : otherwise);

export const messages = {
  'unknown-name': (kind: string, name: string, near: string | undefined, known: readonly string[], other: readonly string[] = []) =>
    say(
      `\`${name}\` is not ${an(kind)}`,
      meant(
        near,
        other.length ? `\`${name}\` is ${other.map(an).sort().join(' and ')}.` : known.length ? `Known: ${or(known)}.` : 'There is none.',
      ),
    ),
  deprecated: (kind: string, name: string, to: string, since: string, note: string | undefined) =>
    say(`the ${kind} \`${name}\` is deprecated since ${since}`, `Write \`${to}\`.${note ? ` ${note}` : ''} \`qc upgrade\` rewrites it.`),
  'other-spelling': (name: string, to: string) => say(`\`${name}\` is another spelling of \`${to}\``, '`qc upgrade` rewrites it.'),
  'unknown-language': (version: string) =>
    say(`This file is written in version ${version} of the language; this compiler reads version 1`, 'Update qc, or write `language 1`.'),
  planned: (kind: string, name: string) =>
    say(
      `The ${kind} \`${name}\` is planned: the language knows it, this version does not build it`,
      'docs/reference/planned.md lists all such names.',
    ),
  'unknown-key': (what: string, key: string, near: string | undefined, known: readonly string[]) =>
    say(`${what} has no \`${key}\``, meant(near, known.length ? `It takes ${or(known, 20)}.` : 'It takes no parameters.')),
  'unknown-choice': (key: string, word: string, near: string | undefined, of: readonly string[]) =>
    say(`${key} cannot be \`${word}\``, meant(near, `It is one of ${or(of, 20)}.`)),
  'unknown-member': (of: string, name: string, near: string | undefined, known: readonly string[]) =>
    say(`\`${of}\` has no member \`${name}\``, meant(near, known.length ? `It has ${or(known, 20)}.` : 'It has none.')),
  'unknown-port': (port: string, where: string, near: string | undefined, known: readonly string[]) =>
    say(`${where} has no port \`${port}\``, meant(near, `Ports: ${or(known)}.`)),
  'unknown-recipe': (name: string, where: string, near: string | undefined, known: readonly string[]) =>
    say(`${where} has no recipe \`${name}\``, meant(near, known.length ? `It has ${or(known)}.` : 'It has none.')),
  'unknown-package': (alias: string) =>
    say(`No \`use\` names \`${alias}\``, `Begin the file with \`use "…" as ${alias}\`; the standard library is "@qrecipe/std@^0.1".`),
  'missing-argument': (what: string, name: string, doc: string) => say(`${what} needs \`${name}\``, doc),
  'missing-field': (what: string, name: string, doc: string) => say(`${what} needs \`${name}\``, doc),
  'too-many-arguments': (what: string, most: number) =>
    say(`${what} takes ${most === 0 ? 'no arguments' : `at most ${most} argument${most === 1 ? '' : 's'} by position`}`),
  'duplicate-name': (name: string) => say(`\`${name}\` is named twice`, 'Pick another name for one of the two.'),
  'duplicate-field': (name: string) => say(`\`${name}\` is given twice`, 'Keep one of the two.'),
  'wrong-type': (key: string, wanted: string, found: string) => say(`${key} wants ${wanted}; this is ${found}`),
  'wrong-unit': (what: string, unit: string, wanted: readonly string[]) =>
    say(`${what} is not measured in ${unit}`, wanted.length ? `Write it in ${wanted.join(', ')}.` : 'Write it without a unit.'),
  'out-of-range': (key: string, value: number, bound: string) => say(`${key} is ${value}; it must be ${bound}`),
  'not-whole': (key: string, value: number) => say(`${key} is ${value}; it must be a whole number`),
  'not-a-condition': (where: string) => say(`${where} needs a condition`, 'For example `size <= 0.30x`, joined with and, or, not.'),
  'not-a-number': (where: string) => say(`${where} needs a number, and this is a condition`),
  'not-a-selection': (what: string) =>
    say(`${what} is no selection`, 'Selections are roles, path("…"), op("…"), block(0..3) and what and, or, not, -> make of them.'),
  'edge-not-allowed': (verb: string) =>
    say(`\`${verb}\` speaks of sites, and this selects edges`, 'Edges (`a -> b`) stand in `transform` and `solve`.'),
  'needs-ports': (name: string) =>
    say(`\`${name}\` is a format: say of which port`, `Write \`quantize weight of … as ${name}\`, or use a scheme such as W4A16.`),
  'mode-needed': (ports: string) =>
    say(
      `The scale of ${ports} changes with every input: say when it is found`,
      'Write { mode: static } (from calibration) or { mode: dynamic } (at run time).',
    ),
  'mode-on-weight': () => say('A weight is a constant; it has no dynamic mode', 'Leave `mode` away, or speak of the input.'),
  'channel-input': (port: string) =>
    say(
      `\`per: channel\` on ${port} would need a scale for each term of the sum, which no integer product can take out`,
      'It is legal where `transform migrate` moved the steps into norm and weight. Else write per: token or per: tensor.',
    ),
  'grain-conflict': (a: string, b: string) => say(`\`${a}\` and \`${b}\` both say what shares a scale`, 'Keep one of the two.'),
  'bad-block': () => say('A block is two sizes, rows and columns', 'Write `block: [128, 128]`.'),
  'token-on-weight': (per: string) => say(`A weight has no ${per} axis`, 'Write per: tensor, per: channel, group: n or block: [r, c].'),
  'keep-at': (name: string) =>
    say(`\`${name}\` has codes; \`keep … at\` casts to a float type`, 'Write `keep … at float16`, or `quantize … as …`.'),
  'not-a-recipe': (what: string) => say(`${what} is no recipe`, 'Write `apply name(…)` or `apply package.name(…)`.'),
  'unbound-variable': (name: string) =>
    say(`Nothing binds the variable \`${name}\``, `Add \`search ${name} { objective: …, method: … }\`, or give --param ${name}=VALUE.`),
  'not-a-variable': (name: string) => say(`\`${name}\` has one value, so there is nothing to search`, `Declare \`let ${name} in …\`.`),
  'no-domain': (name: string) => say(`The parameter \`${name}\` has no domain to search`, `Write \`${name} = … in 0..1 by 0.05\`.`),
  'bad-domain': (why: string, hint: string) => say(why, hint),
  'default-outside': (name: string) => say(`The default of \`${name}\` lies outside of its domain`),
  'two-searches': (name: string) => say(`\`${name}\` is bound by two searches`, 'One search binds a variable.'),
  'search-cycle': (names: readonly string[]) =>
    say(`These searches wait for each other: ${names.join(' → ')}`, 'The objective or budget of one of them must not mention the other.'),
  'let-cycle': (names: readonly string[]) => say(`\`let\` goes in a circle: ${names.join(' → ')}`),
  'apply-cycle': (name: string) => say(`The recipe \`${name}\` applies itself`),
  'bad-version': (text: string) => say(`"${text}" is not a version`, 'Versions are three numbers, as in "1.0.0" (semver.org).'),
  'bad-regex': (why: string) => say(`Not a regular expression: ${why}`),
  'bad-path': () =>
    say('`path` takes a glob or `re:`, and one of the two', 'Write path("layers.*.mlp.*") or path(re: "layers\\.\\d+\\..*").'),
  'bad-tolerance': () => say('`+-` stands only right of `==`', 'Write `density(linear) == 0.5 +- 0.001`.'),
  'import-cycle': (files: readonly string[]) => say(`Files use each other in a circle: ${files.join(' → ')}`),
  'path-escape': (path: string) =>
    say(`"${path}" leaves the folder of the recipe`, 'Files that are used lie beside the recipe or below it.'),
  'use-failed': (why: string, hint?: string) => say(why, hint),
  'empty-recipe': (name: string) => say(`The recipe \`${name}\` does nothing`, 'Add a statement, for example `quantize linear as W4A16`.'),
} as const satisfies Record<string, (...args: never[]) => Said>;

export type Code = keyof typeof messages;
