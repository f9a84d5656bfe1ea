// Faults between an ECU and the bus, from a boot to the next reset: it hangs, resets repeatedly, gives wrong answers.

import { byteAt } from '../../src/core/bytes.ts';
import type { Clock, Timer } from '../../src/core/clock.ts';
import type { Random } from '../../src/core/random.ts';
import type { IsoTpConnection } from '../../src/isotp/connection.ts';
import { Nrc } from '../../src/uds/nrc.ts';
import { Sid } from '../../src/uds/services/all.ts';
import { NEGATIVE_RESPONSE, POSITIVE_RESPONSE_OFFSET } from '../../src/uds/sid.ts';
import type { EcuFaults, WrongAnswer } from './faults.ts';

export interface FaultsOfALifeOptions {
  readonly faults: EcuFaults;
  readonly clock: Clock;
  readonly random: Random;
  /** Called when the ECU hangs and no longer receives or sends. */
  readonly onStuck: () => void;
  readonly reset: () => void;
}

export class FaultsOfALife {
  readonly #options: FaultsOfALifeOptions;
  #stuck = false;
  #reset: Timer | undefined;

  constructor(options: FaultsOfALifeOptions) {
    this.#options = options;
    this.#armReset();
  }

  /** Wraps the connection of the ECU with the faults. */
  wrap(connection: IsoTpConnection): IsoTpConnection {
    return {
      listen: (listener) =>
        connection.listen({
          onMessage: (message, atMs) => {
            if (this.#hears()) listener.onMessage(message, atMs);
          },
          onFirstFrame: (length, atMs) => listener.onFirstFrame?.(length, atMs),
          onReceiveError: (result, reason, atMs) => listener.onReceiveError?.(result, reason, atMs),
        }),
      send: (message, done) => connection.send(this.#said(message), done),
      close: () => connection.close(),
    };
  }

  /** Ends the timers at a reset. */
  close(): void {
    this.#reset?.cancel();
  }

  #hears(): boolean {
    const { faults, onStuck } = this.#options;
    this.#armReset();
    if (this.#stuck || faults.silent === true) return false;
    if (faults.stuckAfter === undefined) return true;
    if (faults.stuckAfter > 0) {
      faults.stuckAfter--;
      return true;
    }
    delete faults.stuckAfter;
    this.#stuck = true;
    onStuck();
    return false;
  }

  #armReset(): void {
    const { faults, clock, reset } = this.#options;
    const { resetLoop } = faults;
    if (this.#reset !== undefined || resetLoop === undefined || resetLoop.times < 1) return;
    this.#reset = clock.after('reset-loop', resetLoop.everyMs, () => {
      resetLoop.times--;
      reset();
    });
  }

  #said(message: Uint8Array): Uint8Array {
    const { faults, random } = this.#options;
    const { wrongAnswers } = faults;
    if (wrongAnswers === undefined || wrongAnswers.count < 1 || isPending(message)) return message;
    wrongAnswers.count--;
    return wrong(message, wrongAnswers.kind, random);
  }
}

function isPending(message: Uint8Array): boolean {
  return (
    message[0] === NEGATIVE_RESPONSE && message[2] === Nrc.requestCorrectlyReceivedResponsePending
  );
}

function wrong(message: Uint8Array, kind: WrongAnswer, random: Random): Uint8Array {
  switch (kind) {
    case 'service': {
      const read = Sid.readDataByIdentifier + POSITIVE_RESPONSE_OFFSET;
      const other = message[0] === read ? Sid.testerPresent + POSITIVE_RESPONSE_OFFSET : read;
      return Uint8Array.of(other, ...message.subarray(1));
    }
    case 'identifier': {
      if (message.length < 3) return wrong(message, 'service', random);
      const changed = Uint8Array.from(message);
      changed[2] = byteAt(changed, 2) ^ 0x01;
      return changed;
    }
    case 'garbage': {
      const bytes = Uint8Array.from(random.bytes(1 + Math.floor(random.fraction() * 20)));
      // Make sure that it is not the right answer by chance.
      if (bytes[0] === message[0]) bytes[0] = byteAt(bytes, 0) ^ 0xff;
      return bytes;
    }
  }
}
