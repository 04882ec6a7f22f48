/** A membership whose view a test sets. */
import type { Membership } from '../../src/cluster/membership/index.ts';
import type { ViewHolder } from '../../src/cluster/membership/membership.ts';

export function heldMembership(holder: ViewHolder, isWhole = true): Membership {
  return {
    source: 'test',
    isWhole,
    view: () => holder.view,
    status: () => 'current',
    lastGoodAtMs: () => 0,
    lastError: () => undefined,
    onChange: (listener) => holder.onChange(listener),
    close: () => Promise.resolve(),
  };
}
