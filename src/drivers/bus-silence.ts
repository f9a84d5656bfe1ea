// Silences the bus while ECUs are programmed: trouble codes and normal traffic are off until the last one is done.

import { type Clock, sleep } from '../core/clock.ts';
import { present } from '../core/present.ts';
import * as communicationControl from '../uds/services/communication-control.ts';
import * as controlDtcSetting from '../uds/services/control-dtc-setting.ts';
import * as diagnosticSessionControl from '../uds/services/diagnostic-session-control.ts';
import { Session } from '../uds/sid.ts';
import type { EcuProgramming } from '../vehicle/programming-schema.ts';
import type { Exchange } from './exchange.ts';

const { ControlType, CommunicationType } = communicationControl;
const { DtcSetting } = controlDtcSetting;

type Broadcast = (request: Uint8Array) => Promise<void>;
type Quieted = Pick<EcuProgramming, 'controlDtcSetting' | 'communicationControl'>;

/** S3server of ISO 14229-2: an ECU that receives no request for this time returns to the default session. */
export const S3_SERVER_MS = 5000;
/** S3 with the tolerance of an ECU's clock. */
export const S3_OVER_MS = S3_SERVER_MS * 1.1;

/** Pause between two requests to an ECU that has not confirmed its default session. */
const RETRY_MS = 250;
/** Longest wait for an ECU that answers "pending": it has received the request. */
const PENDING_LIMIT_MS = 500;

export interface SilencedEcus {
  /** The ECUs behind the functional address that also have a physical address. */
  readonly members: () => readonly Pick<Exchange, 'broadcast' | 'reply'>[];
  readonly clock: Clock;
}

/**
 * The silence of one functional address, shared by the drivers behind it. Trouble codes and normal traffic stay off
 * until the last driver releases it.
 */
export class BusSilence {
  #holders = 0;
  #dtcOff = false;
  #trafficOff = false;
  readonly #ecus: SilencedEcus | undefined;

  /** Without `ecus` no ECU is asked afterwards: a tester that sends nothing more can rely on S3. */
  constructor(ecus?: SilencedEcus) {
    this.#ecus = ecus;
  }

  /** Whether this tester holds the sessions of the ECUs behind the address open. */
  get held(): boolean {
    return this.#holders > 0;
  }

  /**
   * Sends the requests to all ECUs, ISO 14229-1 16.3 (pre-programming): the extended session first, because both
   * settings end with the session. No ECU answers them (bit 7 suppresses the response, and NRCs 11, 12, 31 are not
   * sent).
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

  /**
   * Restores in reverse order when the last user has released the silence. It takes at most S3, and no signal shortens
   * it, because an aborted campaign still sends requests to the ECUs.
   */
  async release(broadcast: Broadcast): Promise<void> {
    if (this.#holders === 0 || --this.#holders > 0) return;
    if (!this.#dtcOff && !this.#trafficOff) return;
    const { traffic, dtc } = { traffic: this.#trafficOff, dtc: this.#dtcOff };
    this.#dtcOff = false;
    this.#trafficOff = false;
    await this.#restore(broadcast, { traffic, dtc });
  }

  /** Ends a silence that an earlier run of this tester may have left when it lost its power. */
  async restore(): Promise<void> {
    const first = this.#ecus?.members()[0];
    if (first === undefined || this.#holders > 0) return;
    const both = { traffic: true, dtc: true };
    await this.#restore((request) => first.broadcast(request), both);
  }

  async #restore(
    broadcast: Broadcast,
    { traffic, dtc }: { readonly traffic: boolean; readonly dtc: boolean },
  ): Promise<void> {
    if (traffic) {
      await broadcast(
        communicationControl.encodeRequest(ControlType.enableRxAndTx, CommunicationType.normal, {
          suppress: true,
        }),
      );
    }
    if (dtc) await broadcast(controlDtcSetting.encodeRequest(DtcSetting.on, { suppress: true }));
    await broadcast(diagnosticSessionControl.encodeRequest(Session.default, true));
    const members = this.#ecus?.members() ?? [];
    await Promise.all(members.map((member) => this.#confirm(member)));
  }

  /**
   * A broadcast has no answer and can be lost, and later requests of this tester would keep the session and the
   * silence. So each ECU is asked until it answers. An ECU that receives nothing for this time has left the session by
   * S3.
   */
  async #confirm(member: Pick<Exchange, 'reply'>): Promise<void> {
    const { clock } = present(this.#ecus, 'the list of silenced ECUs');
    const endMs = clock.nowMs() + S3_OVER_MS;
    const request = diagnosticSessionControl.encodeRequest(Session.default);
    for (;;) {
      const reply = await member.reply(request, undefined, {
        pendingLimitMs: PENDING_LIMIT_MS,
        patienceMs: 0,
      });
      if (reply === 'interrupted' || clock.nowMs() >= endMs) return;
      // An ECU that refuses has received the request; a repetition would not help.
      if (reply.kind === 'positive' || reply.kind === 'negative') return;
      if (reply.kind === 'transport' && reply.result === 'CLOSED') return;
      await sleep(clock, 'restore', RETRY_MS);
    }
  }
}
