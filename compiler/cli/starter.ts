/** The recipe that `qc init` writes: chosen by the roles that were found, with a comment for every choice. */
import { bytes } from '../report/units.ts';
import type { Site, Sites } from '../sites.ts';

export interface StarterFacts {
  /** File name of the model, for the comment. */
  readonly model: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Name of the recipe; made an identifier here. */
  readonly name: string;
}

const GROUPS = [128, 64, 32, 16] as const;
/** Below this many parameters a smaller group costs little and gains accuracy. */
const LARGE = 500e6;

/** Every file name becomes a name of the language. */
export const identifier = (text: string): string => text.replace(/[^A-Za-z0-9_]+/g, '_').replace(/^(?=\d)|^$/, 'm');

const plural = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : /(s|x|ch)$/.test(what) ? 'es' : 's'}`;
const reduceOf = (s: Site): number | undefined => {
  const w = s.ports['weight'];
  const size = w?.shape?.[w.axes['reduce'] ?? -1];
  return typeof size === 'number' ? size : undefined;
};

/** The largest usual group that divides the reduction of every linear; undefined where none does. */
export function groupFor(linears: readonly Site[]): number | undefined {
  const parameters = linears.reduce((n, s) => n + s.size, 0);
  const wanted = parameters >= LARGE ? GROUPS : GROUPS.filter((g) => g <= 32);
  return wanted.find((g) => linears.every((s) => (reduceOf(s) ?? g) % g === 0));
}

/** Text of a commented recipe for a model with these sites. */
export function starter(sites: Sites, facts: StarterFacts): string {
  const of = (role: string) => sites.sites.filter((s) => s.role === role);
  const [linear, conv, embedding, attention, ssm] = [of('linear'), of('conv'), of('embedding'), of('attention'), of('ssm')];
  const roles = [...new Set(sites.sites.map((s) => s.role))].map((r) => plural(of(r).length, r));
  const parameters = sites.sites.reduce((n, s) => n + s.size, 0);
  const text = facts.inputs.includes('input_ids');
  const group = groupFor(linear);
  const body: string[] = [];
  const say = (...lines: string[]) => body.push(...lines.map((l) => (l ? `  ${l}` : '')));

  if (text && linear.length && group !== undefined) {
    say(
      '# Text models are bound by memory: four-bit weights, activations stay in float. No data is needed.',
      `quantize linear as W4A16 { group: ${group} }`,
    );
    if (embedding.length)
      say(
        '',
        '# Rows of the embedding are looked up, not multiplied: eight bits cost almost nothing.',
        'quantize weight of embedding as int8 { per: channel }',
      );
    if (attention.length && linear.some((s) => s.path === 'lm_head'))
      say(
        '',
        '# The head decides the last word; if accuracy falls short, give it eight bits:',
        '# quantize weight of path("lm_head") as int8 { per: channel }',
      );
    if (ssm.length) say('', '# The recurrence (ssm) is left in float: no statement speaks of it.');
  } else if (conv.length || linear.length) {
    const which = [conv.length && 'conv', linear.length && 'linear'].filter(Boolean).join(' or ');
    const convs = conv.length > linear.length;
    if (convs)
      say(
        '# Convolutions: eight bits on both sides, with ranges measured on your data.',
        '# Put .npz files keyed by the input names into a folder and bind it: --data calib=DIR',
        'calibrate data("calib") { samples: 128 }',
        `quantize ${which} as W8A8_STATIC`,
      );
    else
      say('# Eight bits on both sides; scales of activations are computed at run time, so no data is needed.', `quantize ${which} as W8A8`);
  } else {
    say('# No linear and no conv was found; `qc inspect` says what was seen and why it did not match.');
  }
  if (sites.sites.some((s) => s.members.includes('temporal')))
    say('', '# Layers that depend on the time step only are few and sensitive.', 'keep optional(temporal)');
  say('', '# The contract: if a line does not hold, the compile fails with status 1.', `require size <= ${text ? '0.35x' : '0.40x'}`);
  return `# ${facts.model}: ${roles.join(', ')}; ${bytes(parameters * 4)} of weights in float32.
# Try it:      qc explain ${facts.model} ${facts.name}.qrecipe
# Build it:    qc compile ${facts.model} ${facts.name}.qrecipe -o ${facts.name}.onnx
# Names of the language: qc docs

recipe ${identifier(facts.name)} version "0.1.0" {
${body.join('\n')}
}
`;
}
