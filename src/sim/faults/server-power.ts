// The backend loses its power: at a moment of the campaign, or before one of the next operations on its disk.

import { faultModule } from './fault.ts';
import type { Trigger } from './trigger.ts';

export interface ServerPower {
  readonly category: 'server';
  readonly kind: 'power-cut';
  readonly at: Trigger;
  /** 0: at once; otherwise before the nth operation on its disk from the trigger on. */
  readonly write: number;
  readonly forMs: number;
}

export const serverPower = faultModule<ServerPower>({
  category: 'server',
  kind: 'power-cut',
  draw: (draw) => ({
    category: 'server',
    kind: 'power-cut',
    at: draw.trigger(),
    write: draw.chance(0.5) ? 0 : draw.between(1, 8),
    forMs: draw.between(50, 60_000),
  }),
  countsItself: true,
  fire({ write, forMs }, { server, fired, mend, atEnd }) {
    const cut = (): void => {
      fired();
      server.cut();
      mend(forMs, () => void server.start());
    };
    if (write === 0) {
      cut();
      return;
    }
    let operations = 0;
    const stop = server.onOperation(() => {
      if (++operations < write) return;
      stop();
      if (server.running) cut();
    });
    atEnd(stop);
  },
});
