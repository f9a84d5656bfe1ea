// The program of the backend dies and is started again later.

import { faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface ServerRestart {
  readonly category: 'network';
  readonly kind: 'server-restart';
  readonly at: Trigger;
  readonly forMs: number;
}

export const serverRestart = faultModule<ServerRestart>({
  category: 'network',
  kind: 'server-restart',
  draw: (draw) => ({
    category: 'network',
    kind: 'server-restart',
    at: draw.trigger(),
    forMs: draw.between(50, 60_000),
  }),
  fire({ forMs }, { server, mend }) {
    server.stop();
    mend(forMs, () => void server.start());
  },
});
