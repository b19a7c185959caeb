import { CONV_INPUTS, convBody, SCAN_INPUTS, scanBody } from '../../../compiler/lower/native/ssm/bodies.ts';
import { bytes, type Case, type Family, filled, floats, one, positive, type Size } from './case.ts';

const none = one(0);

function scan(name: string, size: Size): Case {
  const codes = name.endsWith('Int8');
  const [time, channels, states] = size === 'small' ? [4, 6, 5] : [64, 1536, 16];
  const all = {
    state: codes ? bytes('int8', [1, channels, states]) : floats([1, channels, states], 1),
    x: floats([1, time, channels], 2),
    dt: floats([1, time, channels], 3),
    B: floats([1, time, states], 4),
    C: floats([1, time, states], 5),
    z: floats([1, time, channels], 6),
    A: filled('float32', [states, channels], (i) => -1 - (i % 5)),
    D: floats([channels], 7),
    state_scale: codes ? positive([states, channels]) : filled('float32', [1, 1], () => 0),
    x_scale: none,
    dt_scale: none,
    B_scale: none,
    C_scale: none,
    z_scale: none,
    gate_scale: one(1),
  };
  // The state is fed: it comes first.
  const rounded = new Set(codes ? ['state'] : []);
  const use = { gated: true, gateScale: false, softplus: true, rounded, bounded: false };
  return {
    inputs: Object.fromEntries(SCAN_INPUTS.map((i) => [i, all[i as keyof typeof all]])),
    attrs: { heads: [1, 1], softplus: 1 },
    outputs: ['y', 'state_out'],
    body: (opset) => scanBody(opset, name, codes, use),
  };
}

function conv(name: string, size: Size): Case {
  const codes = name.endsWith('Int8');
  const [time, channels, taps] = size === 'small' ? [4, 6, 4] : [64, 1536, 4];
  const all = {
    x: floats([1, time, channels], 1),
    state: codes ? bytes('int8', [1, channels, taps - 1]) : floats([1, channels, taps - 1], 2),
    weight: codes ? bytes('int8', [taps, channels]) : floats([taps, channels], 3),
    bias: floats([channels], 4),
    weight_scale: codes ? positive([channels]) : none,
    x_scale: codes ? one(0.02) : none,
  };
  return {
    inputs: Object.fromEntries(CONV_INPUTS.map((i) => [i, all[i as keyof typeof all]])),
    attrs: { channels, silu: 1 },
    outputs: ['y', 'state_out'],
    body: (opset) => convBody(opset, name, codes, { silu: true, rounded: codes, codes, bounded: false }),
  };
}

/** 64 steps of 1536 channels, 16 states each. */
const recurrent: Family = (name, size) =>
  name.startsWith('SelectiveScan') ? scan(name, size) : name.startsWith('CausalConv1d') ? conv(name, size) : undefined;
export default recurrent;
