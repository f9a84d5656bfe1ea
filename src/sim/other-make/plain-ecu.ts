// An ECU of another make: standard UDS, one bank, a bootloader apart from its application, no digest and no signatures.

import type { CanBus } from '../../bus/can-bus.ts';
import { byteAt } from '../../core/bytes.ts';
import type { Clock, Timer } from '../../core/clock.ts';
import { sleep } from '../../core/clock.ts';
import type { Random } from '../../core/random.ts';
import type { Storage } from '../../core/storage.ts';
import { reverseAddress, testerAddresses } from '../../isotp/address.ts';
import { IsoTpChannel } from '../../isotp/channel.ts';
import { transportConfig } from '../../isotp/config.ts';
import { Nrc } from '../../uds/nrc.ts';
import { Session } from '../../uds/sid.ts';
import type { VehicleEcu } from '../../vehicle/schema.ts';
import type { Character } from './character.ts';
import type { PlainEcuFaults } from './faults.ts';
import { PlainMemory } from './memory.ts';
import { answer, type Machine, P2_MS, P2_STAR_MS, type PlainEcuEvent } from './services.ts';

export interface PlainEcuOptions {
  readonly ecu: VehicleEcu;
  readonly character: Character;
  readonly faults: PlainEcuFaults;
  readonly factoryImage: Uint8Array;
  readonly bus: CanBus;
  readonly clock: Clock;
  readonly random: Random;
  readonly storage: Storage;
  readonly onEvent: (event: PlainEcuEvent) => void;
}

const S3_MS = 5000;
/** Negative responses that are not sent when the request went to all ECUs (ISO 14229-1 7.5.3.3). */
const UNSAID: ReadonlySet<number> = new Set([
  Nrc.serviceNotSupported,
  Nrc.subFunctionNotSupported,
  Nrc.requestOutOfRange,
  Nrc.subFunctionNotSupportedInActiveSession,
  Nrc.serviceNotSupportedInActiveSession,
]);

export class PlainEcu {
  /** Rejects when the ECU cannot start because of its disk. */
  readonly stopped: Promise<never>;
  readonly #options: PlainEcuOptions;
  readonly #fail: (error: unknown) => void;
  #physical: IsoTpChannel | undefined;
  #functional: IsoTpChannel | undefined;
  #machine: Machine | undefined;
  #busy = false;
  #deaf = 0;
  #boots = 0;
  #s3: Timer | undefined;

  constructor(options: PlainEcuOptions) {
    this.#options = options;
    const { promise, reject } = Promise.withResolvers<never>();
    this.stopped = promise;
    this.#fail = reject;
  }

  /** Undefined while it starts. `recovery`: only its bootloader can run. */
  get running(): { readonly bank: 'A' | 'recovery' } | undefined {
    const machine = this.#machine;
    if (machine === undefined) return undefined;
    return { bank: machine.memory.valid && !machine.stays ? 'A' : 'recovery' };
  }

  /** `answerWhenUp`: the answer that the bootloader sends first, in place of the application that has stopped. */
  async boot(answerWhenUp?: Uint8Array): Promise<void> {
    const { clock, character, faults, storage, factoryImage } = this.#options;
    this.#leave();
    const boot = ++this.#boots;
    await sleep(clock, 'boot', character.bootMs + faults.extraBootMs);
    const memory = await PlainMemory.open(storage, factoryImage);
    // Another reset came meanwhile.
    if (boot !== this.#boots) return;
    const wanted = memory.programming;
    const stays = !memory.valid || (faults.refusesNewImage && !memory.isProven);
    if (wanted) await memory.wantProgramming(false);
    else if (!stays) await memory.prove();
    this.#machine = {
      ...{ memory, character, faults, stays, random: this.#options.random },
      inBootloader: wanted || stays,
      session: wanted ? Session.programming : Session.default,
      // An image that cannot be started has no running version.
      version: stays ? undefined : memory.version,
      unlocked: character.security === 'none',
      seed: undefined,
      download: undefined,
      onEvent: this.#options.onEvent,
    };
    this.#connect();
    if (!wanted) {
      this.#options.onEvent({ kind: 'boot', sha256: stays ? null : memory.sha256 });
    }
    if (answerWhenUp !== undefined) this.#physical?.send(answerWhenUp);
    this.#restartS3();
  }

  #connect(): void {
    const { bus, clock, ecu, faults } = this.#options;
    const { physical, functional } = testerAddresses(ecu.address);
    const config = transportConfig(ecu);
    const common = { bus, clock, config };
    this.#physical = new IsoTpChannel({
      ...common,
      address: reverseAddress(physical),
      readiness: () => (faults.waits ? 'wait' : 'continue'),
    });
    this.#physical.listen({ onMessage: (message) => this.#hear(message, false) });
    if (functional === undefined) return;
    this.#functional = new IsoTpChannel({
      ...common,
      address: reverseAddress(functional),
      kind: 'functional',
    });
    this.#functional.listen({ onMessage: (message) => this.#hear(message, true) });
  }

  #leave(): void {
    this.#physical?.close();
    this.#functional?.close();
    this.#physical = undefined;
    this.#functional = undefined;
    this.#machine = undefined;
    this.#s3?.cancel();
  }

  #hear(request: Uint8Array, functional: boolean): void {
    const machine = this.#machine;
    if (machine === undefined || request.length === 0) return;
    if (this.#deaf > 0) {
      this.#deaf--;
      return;
    }
    this.#restartS3();
    if (this.#busy || this.#options.faults.busy) {
      if (!functional) this.#refuse(byteAt(request, 0), Nrc.busyRepeatRequest);
      return;
    }
    this.#busy = true;
    this.#serve(machine, request, functional)
      .catch(this.#fail)
      .finally(() => {
        this.#busy = false;
      });
  }

  async #serve(machine: Machine, request: Uint8Array, functional: boolean): Promise<void> {
    const { clock, character, faults } = this.#options;
    const sid = byteAt(request, 0);
    await sleep(clock, 'answer', character.answerMs);
    if (this.#machine !== machine) return;
    const reply = await answer(machine, request).catch(() => ({
      nrc: Nrc.generalProgrammingFailure,
    }));
    if ('takesMs' in reply && reply.takesMs > 0) await this.#beBusyFor(sid, reply.takesMs);
    if (this.#machine !== machine) return;
    if ('nrc' in reply) {
      if (!functional || !UNSAID.has(reply.nrc)) this.#refuse(sid, reply.nrc);
      return;
    }
    this.#restartS3();
    const { positive, restarts } = reply;
    const isSuppressed = reply.suppressed === true;
    if (restarts === 'bootloader' && faults.deafAfterSession === 0) {
      // The bootloader sends the final answer once it has started.
      this.#refuse(sid, Nrc.requestCorrectlyReceivedResponsePending);
      await this.boot(positive);
      return;
    }
    if (!isSuppressed) await this.#sent(positive);
    if (this.#machine !== machine || restarts === undefined) return;
    if (restarts === 'bootloader') this.#deaf = faults.deafAfterSession;
    else await sleep(clock, 'linger', 5);
    if (restarts === 'reset' && faults.lingerMs > 0) {
      this.#busy = false;
      await sleep(clock, 'linger', faults.lingerMs);
    }
    if (this.#machine !== machine) return;
    await this.boot();
  }

  async #beBusyFor(sid: number, ms: number): Promise<void> {
    const { clock } = this.#options;
    let leftMs = ms;
    for (let waitMs = P2_MS; leftMs > waitMs; waitMs = P2_STAR_MS) {
      await sleep(clock, 'work', waitMs);
      leftMs -= waitMs;
      this.#refuse(sid, Nrc.requestCorrectlyReceivedResponsePending);
    }
    await sleep(clock, 'work', leftMs);
  }

  #sent(message: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (this.#physical === undefined) resolve();
      else this.#physical.send(message, () => resolve());
    });
  }

  #refuse(sid: number, nrc: number): void {
    this.#physical?.send(Uint8Array.of(0x7f, sid, nrc));
  }

  /** Without a request the bootloader starts the application, and the application leaves its session. */
  #restartS3(): void {
    this.#s3?.cancel();
    this.#s3 = this.#options.clock.after('S3', S3_MS, () => {
      const machine = this.#machine;
      if (machine === undefined || machine.session === Session.default) return;
      if (this.#busy) this.#restartS3();
      else if (machine.inBootloader && machine.memory.valid) this.boot().catch(this.#fail);
      else machine.session = Session.default;
    });
  }
}
