/** What standard operators cannot express: the reason, or undefined. */
import type { QType } from '../plan/types.ts';
import { shares } from '../simulate/sharing.ts';
import type { Site } from '../sites.ts';

/** Why a type has no form in ONNX at this port; undefined where it has one. */
export function inexpressible(site: Site, port: string, type: QType): string | undefined {
  const { codes, grain, mode } = type;
  if (!codes) return undefined;
  if (site.ports[port]?.kind === 'weight')
    return codes.kind === 'int' && codes.bits > 8 ? `weights have codes of at most 8 bits, not ${codes.bits}` : undefined;
  if (mode === 'dynamic' && port === 'state' && site.role === 'ssm')
    return 'a state is carried in its codes, so its scale is known before: mode: static';
  if (shares(site, port, grain)) {
    if (mode === 'dynamic') return `a scale per ${grain.per} comes from calibration: mode: static`;
    return codes.kind === 'int' ? undefined : `scales per ${grain.per} are for integers`;
  }
  if (grain.per === 'cluster' || grain.per === 'state_group' || grain.per === 'element')
    return `scales per ${grain.per} are for the ports of a recurrence (ssm)`;
  if (grain.per === 'block') return 'activations have no operator for scales per block';
  if (mode === 'static' && grain.per !== 'tensor' && grain.per !== 'channel')
    return `a scale per ${grain.per} is only known at run time: mode: dynamic`;
  if (mode === 'dynamic' && grain.per === 'channel') return 'a dynamic scale per channel cannot be taken out of a sum';
  return undefined;
}
