/** What standard operators cannot express: the reason, or undefined. */
import type { QType } from '../plan/types.ts';
import type { Site } from '../sites.ts';

/** Why a type has no form in ONNX at this port; undefined where it has one. */
export function inexpressible(site: Site, port: string, type: QType): string | undefined {
  const { codes, grain, mode } = type;
  if (!codes) return undefined;
  if (site.ports[port]?.kind === 'weight')
    return codes.kind === 'int' && codes.bits > 8 ? `weights have codes of at most 8 bits, not ${codes.bits}` : undefined;
  if (grain.per === 'cluster' || grain.per === 'state_group' || grain.per === 'block')
    return `activations have no operator for scales per ${grain.per}`;
  if (mode === 'static' && grain.per !== 'tensor' && grain.per !== 'channel')
    return `a scale per ${grain.per} is only known at run time: mode: dynamic`;
  if (mode === 'dynamic' && grain.per === 'channel') return 'a dynamic scale per channel cannot be taken out of a sum';
  return undefined;
}
