/** Roles with their ports and members: the contract of the language, whether this version finds them in a graph or not. */
import type { Transform } from '../define.ts';
import { roles as definitions } from '../roles/index.ts';
import { transforms } from '../transforms/index.ts';

export interface RoleFacts {
  readonly name: string;
  readonly doc: string;
  /** Ports of a site of this role. */
  readonly ports: readonly string[];
  /** `attention.q`: members, with the role that such a site has (undefined: not one role). */
  readonly members: Readonly<Record<string, string | undefined>>;
  readonly planned: boolean;
}

const linear = 'linear';
type Row = readonly [name: string, doc: string, ports: string, members?: Readonly<Record<string, string | undefined>>];
const io = 'input output';
const table: readonly Row[] = [
  ['linear', 'A product with a constant matrix.', `weight ${io}`],
  ['conv', 'A convolution with a constant kernel.', `weight ${io}`],
  ['norm', 'LayerNorm, RMSNorm, GroupNorm.', io],
  [
    'attention',
    'Scaled dot products of queries and keys, softmax, values.',
    'q k v key value probs output',
    {
      q: linear,
      k: linear,
      v: linear,
      qkv: linear,
      o: linear,
      value: linear,
      output: linear,
      key: linear,
      probs: 'softmax',
      cross: undefined,
    },
  ],
  ['mlp', 'The feed-forward part of a block.', `weight ${io}`, { up: linear, gate: linear, down: linear }],
  ['softmax', 'Softmax.', io],
  ['activation', 'SiLU, GELU, ReLU.', io],
  ['embedding', 'Rows that are looked up by token.', 'weight output'],
  [
    'ssm',
    'A selective scan.',
    'x B C dt z state',
    {
      x: 'ssm',
      B: 'ssm',
      C: 'ssm',
      dt: undefined,
      z: 'ssm',
      state: 'ssm',
      gate: undefined,
      output: undefined,
      in: linear,
      out: linear,
      conv: 'conv',
    },
  ],
  ['residual', 'The stream that blocks add to.', io],
  ['temporal', 'What depends on the time step alone.', `weight ${io}`, { output: undefined }],
  ['branch', 'A part of a block that can be taken from an earlier step.', 'output', { output: undefined }],
  ['text', 'The text that a model is conditioned on.', 'output'],
  ['migrated', 'Linears behind a norm that emits integers (made by `transform migrate`).', `weight ${io}`],
  ['reused', 'Values taken from an earlier step (made by `transform reuse`).', 'output', { output: undefined }],
  ['lowrank', 'Low-rank branches (made by `transform lowrank`).', `weight ${io}`, { residual: linear }],
];

/** A membership such as `mlp.up` makes `mlp` a name too. */
const made = transforms.flatMap((t) => ((t as Transform).marks ? [(t as Transform).marks!] : []));
const found = new Set([...definitions.flatMap((d) => [d.name, ...(d.members ?? [])]), ...made].flatMap((m) => [m, m.split('.')[0] ?? m]));

function facts([name, doc, ports, members = {}]: Row): RoleFacts {
  const d = definitions.find((x) => x.name === name);
  const own = definitions.flatMap((x) => x.members ?? []).filter((m) => m.startsWith(`${name}.`));
  const more = Object.fromEntries(
    own
      .map((m) => m.slice(name.length + 1))
      .filter((m) => !(m in members))
      .map((m) => [m, undefined]),
  );
  return {
    name,
    doc: d?.doc ?? doc,
    ports: [...new Set([...ports.split(' '), ...(d?.ports ?? [])])],
    members: { ...members, ...more },
    planned: !found.has(name),
  };
}
const listed = table.map(facts);
const others = definitions.filter((d) => !table.some(([name]) => name === d.name)).map((d) => facts([d.name, d.doc, d.ports.join(' ')]));

export const roles: ReadonlyMap<string, RoleFacts> = new Map([...listed, ...others].map((r) => [r.name, r]));
export const portNames: ReadonlySet<string> = new Set([...roles.values()].flatMap((r) => r.ports));
