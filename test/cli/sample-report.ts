/** Made-up data in the shape of a llama compiled to four bits, to see and test the report without a compile. */
import type { HistogramData, PortReport, ReportData } from '../../compiler/report/data.ts';

const bell = (width: number, bins = 64): HistogramData => ({
  lo: -1,
  hi: 1,
  counts: Array.from({ length: bins }, (_, i) => Math.round(9000 * Math.exp(-(((i / bins - 0.5) * width) ** 2)))),
});
const linears = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
];

const ports: PortReport[] = Array.from({ length: 6 }, (_, block) =>
  linears.flatMap((name, i): PortReport[] => {
    const at = { site: `linear:layers.${block}.${name}`, path: `layers.${block}.${name}`, role: 'linear', block };
    const parameters = name.startsWith('mlp') ? 131072 : 65536;
    return [
      {
        ...at,
        port: 'weight',
        kind: 'weight',
        type: 'int4 group 32 symmetric mse(80, p: 2.4)',
        by: 'quantize body as W4A16',
        parameters,
        bytesBefore: 4 * parameters,
        bytesAfter: Math.round(0.625 * parameters),
        weightSqnr: 20.5 + ((block * 7 + i * 3) % 11) / 4,
        outputSqnr: 19 + ((block * 5 + i * 4) % 13) / 3,
        histogram: bell(5 + i),
        range: [-0.8, 0.7],
        ops: ['MatMulNBits'],
      },
      { ...at, port: 'input', kind: 'activation', why: 'no statement speaks of it', histogram: bell(14) },
    ];
  }),
).flat();

export const sample: ReportData = {
  recipe: {
    name: 'llama_w4',
    title: 'Four-bit llama',
    version: '1.0.0',
    text: 'recipe llama_w4 version "1.0.0" {\n  quantize linear as W4A16\n  keep path("lm_head") at float16\n  require size <= 0.30x   # <b>escaped</b>\n}\n',
    docs: ['Four-bit weights in groups of 32, everything else in float.'],
  },
  model: { path: 'models/llama/model.onnx', bytes: 17_800_000 },
  output: { path: 'out/llama.w4.onnx', bytes: 4_900_000 },
  target: 'ort',
  ports: [
    ...ports,
    {
      site: 'embedding:embed_tokens',
      path: 'embed_tokens',
      role: 'embedding',
      port: 'weight',
      kind: 'weight',
      type: 'int8 channel symmetric minmax',
      parameters: 524288,
      bytesBefore: 2097152,
      bytesAfter: 532480,
      weightSqnr: 38.2,
      histogram: bell(7),
      range: [-1, 1],
    },
    {
      site: 'linear:lm_head',
      path: 'lm_head',
      role: 'linear',
      port: 'weight',
      kind: 'weight',
      why: 'kept by `keep path("lm_head") at float16`',
      parameters: 524288,
      bytesBefore: 2097152,
      bytesAfter: 1048576,
    },
  ],
  requires: [
    { text: 'size <= 0.30x', passed: true, measured: '0.275x' },
    { text: 'sqnr(output("logits")) >= 25dB', passed: false, measured: '22.1 dB' },
  ],
  metrics: [
    { name: 'perplexity', value: '32.15', float: '31.91' },
    { name: 'kl per token', value: '0.0069' },
  ],
  ledger: [
    { what: 'search', detail: 'group bound to 32 out of 32, 64, 128' },
    { what: 'fold', site: 'linear:layers.0.mlp.up_proj', detail: 'Identity initializer read through' },
  ],
  bindings: [{ name: 'group', value: '32' }],
  phases: [
    { name: 'load', seconds: 0.12 },
    { name: 'quantize', seconds: 1.91 },
  ],
  environment: [
    { name: 'qc', value: '0.1.0' },
    { name: 'crunch', value: 'native avx512vnni, 2 threads' },
    { name: 'model sha256', value: '6f1ed002ab5595859014ebf0951522d9b3e1a5d9e0c4f7a4dc3e1a7a9a1f1a11' },
  ],
};
