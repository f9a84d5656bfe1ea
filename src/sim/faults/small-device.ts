// The small device loses its power between two writes or in the middle of one, or is where there is no network.

import { type FaultModule, faultModule } from './fault.ts';

export interface DeviceFault {
  readonly category: 'device';
  readonly kind: 'cut' | 'torn' | 'away';
  /** The nth operation on its disk since the start of the campaign, from 1. */
  readonly write: number;
  readonly forMs: number;
}

/** What an update of it does to its disk, and more: the next one is met as well. */
const WRITES = 45;

export const deviceCut = deviceFault('cut');
export const deviceTorn = deviceFault('torn');
export const deviceAway = deviceFault('away');

function deviceFault(kind: DeviceFault['kind']): FaultModule<DeviceFault> {
  return faultModule<DeviceFault>({
    category: 'device',
    kind,
    draw: (draw) => ({
      category: 'device',
      kind,
      write: draw.between(1, WRITES),
      forMs: kind === 'away' ? draw.between(50, 120_000) : draw.pause(),
    }),
    begin({ write, forMs }, { smallDevice, fired, mend, atEnd }) {
      if (smallDevice === undefined) return;
      const { machine, network } = smallDevice;
      let operations = 0;
      let fires = false;
      const stop = smallDevice.onOperation(({ kind: operation }) => {
        fires ||= ++operations === write;
        // Torn is what is being made durable at that moment.
        if (!fires || (kind === 'torn' && operation !== 'sync')) return;
        stop();
        fired();
        if (kind === 'away') {
          network.covered = false;
          mend(forMs, () => {
            network.covered = true;
          });
          return;
        }
        machine.cut();
        mend(forMs, () => void machine.boot());
      });
      atEnd(stop);
    },
  });
}
