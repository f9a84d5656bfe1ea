// Quiet on the bus while ECUs are programmed: trouble codes and normal traffic off for all, on again when the last one is done.

import * as communicationControl from '../uds/services/communication-control.ts';
import * as controlDtcSetting from '../uds/services/control-dtc-setting.ts';
import * as diagnosticSessionControl from '../uds/services/diagnostic-session-control.ts';
import { Session } from '../uds/sid.ts';
import type { EcuProgramming } from '../vehicle/schema.ts';

const { ControlType, CommunicationType } = communicationControl;
const { DtcSetting } = controlDtcSetting;

type Broadcast = (request: Uint8Array) => Promise<void>;
type Quieted = Pick<EcuProgramming, 'controlDtcSetting' | 'communicationControl'>;

/**
 * One for each functional address, shared by the drivers behind it: what one ECU's end would restore while the
 * next is still being programmed stays off until the last one releases it.
 */
export class BusSilence {
  #holders = 0;
  #dtcOff = false;
  #trafficOff = false;

  /**
   * Requests to all ECUs, ISO 14229-1 16.3 (pre-programming): extended session first, since both settings end with
   * the session. Functional requests are answered by nobody (bit 7, and NRCs 11, 12, 31 are not sent).
   */
  async acquire(broadcast: Broadcast, wanted: Quieted): Promise<void> {
    this.#holders++;
    const dtc = wanted.controlDtcSetting !== 'skip' && !this.#dtcOff;
    const traffic = wanted.communicationControl !== 'skip' && !this.#trafficOff;
    if (!dtc && !traffic) return;
    await broadcast(diagnosticSessionControl.encodeRequest(Session.extended, true));
    if (dtc) {
      await broadcast(controlDtcSetting.encodeRequest(DtcSetting.off, { suppress: true }));
      this.#dtcOff = true;
    }
    if (traffic) {
      await broadcast(
        communicationControl.encodeRequest(
          ControlType.enableRxAndDisableTx,
          CommunicationType.normal,
          { suppress: true },
        ),
      );
      this.#trafficOff = true;
    }
  }

  /** Restores in reverse order once nobody needs the quiet any more. */
  async release(broadcast: Broadcast): Promise<void> {
    if (this.#holders === 0 || --this.#holders > 0) return;
    if (!this.#dtcOff && !this.#trafficOff) return;
    if (this.#trafficOff) {
      await broadcast(
        communicationControl.encodeRequest(ControlType.enableRxAndTx, CommunicationType.normal, {
          suppress: true,
        }),
      );
    }
    if (this.#dtcOff) {
      await broadcast(controlDtcSetting.encodeRequest(DtcSetting.on, { suppress: true }));
    }
    this.#dtcOff = false;
    this.#trafficOff = false;
    await broadcast(diagnosticSessionControl.encodeRequest(Session.default, true));
  }
}
