// The small device loses its power between two writes or during one, or has no network.

import { type FaultModule, faultModule } from './fault.ts';

export interface DeviceFault {
  readonly category: 'device';
  readonly kind: 'cut' | 'torn' | 'away';
  /** The nth operation on its disk since the start of the campaign, from 1. */
  readonly write: number;
  readonly forMs: number;
}

/** More operations than one update needs, so that some faults hit the next update. */
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
        // A torn write hits the data that is being synced at that moment.
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
