// Network faults of single exchanges between TMU and backend.

import { assertNever } from '../../core/errors.ts';
import type { SeededRandom } from '../seeded-random.ts';
import type { NetworkFault } from '../simulated-network.ts';
import { type FaultModule, faultModule } from './fault.ts';

export const EXCHANGE_FAULTS = ['drop', 'delay', 'cut', 'truncate', 'garbage', 'drip'] as const;
type ExchangeKind = (typeof EXCHANGE_FAULTS)[number];

export interface ExchangeFault {
  readonly category: 'network';
  readonly kind: ExchangeKind;
  /** First exchange concerned, counted from 1 in the campaign; `exchanges - 1` more follow. */
  readonly nth: number;
  readonly exchanges: number;
}

export const EXCHANGE_MODULES = EXCHANGE_FAULTS.map(exchangeFault);

function exchangeFault(kind: ExchangeKind): FaultModule<ExchangeFault> {
  return faultModule<ExchangeFault>({
    category: 'network',
    kind,
    draw(draw) {
      const nth = draw.between(1, draw.dimensions.exchanges);
      return { category: 'network', kind, nth, exchanges: draw.chance(0.7) ? 1 : draw.burst() };
    },
    begin({ nth, exchanges }, context) {
      const handle = context.exchanges(({ n }) => {
        if (n < nth) return undefined;
        if (n >= nth + exchanges - 1) handle.end();
        if (n === nth) context.fired();
        return networkFault(kind, context.random);
      });
    },
  });
}

function networkFault(kind: ExchangeKind, random: SeededRandom): NetworkFault {
  const share = random.fraction();
  switch (kind) {
    case 'drop':
      return { kind, what: share < 0.5 ? 'request' : 'answer' };
    case 'delay':
      return { kind, ms: 100 + 60_000 * share * share };
    case 'cut':
      return share < 0.3 ? { kind } : { kind, share: random.fraction() };
    case 'truncate':
      return { kind, share };
    case 'garbage':
      return { kind, how: share < 0.7 ? 'flip' : 'portal' };
    case 'drip':
      return { kind, bytesPerSecond: 20 + 4000 * share };
    default:
      return assertNever(kind);
  }
}
