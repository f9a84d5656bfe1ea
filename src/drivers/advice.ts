// What a person can do about a failure of an ECU, in words that fit where its description came from.

import type { VehicleEcu } from '../vehicle/schema.ts';

export const ADVICE_TOPICS = [
  /** It does not answer at all. */
  'silent',
  /** It did not come back after its reset within `timing.resetMs`. */
  'restart',
  /** Its SecurityAccess is missing or refused. */
  'security',
  /** Too many wrong keys: it refuses every key for a while. */
  'security-delay',
  /** Its seed cannot be answered: no secret is known. */
  'no-key',
  /** It takes orders by the key of its TMU, and there is none. */
  'no-authority',
  /** Its only bank has to be restored, and the image of before is not kept. */
  'no-previous-image',
] as const;
export type AdviceTopic = (typeof ADVICE_TOPICS)[number];

export interface Advice {
  /** Completes the sentence of a failure. */
  readonly about: (topic: AdviceTopic, ecu: VehicleEcu) => string;
  /** How a person gives a field of the vehicle file (`timing.resetMs`) another value. */
  readonly field: (name: string) => string;
}

const WORDS: Readonly<Record<AdviceTopic, (ecu: VehicleEcu) => string>> = {
  silent: () => 'check power, wiring, bit rate, and the identifiers and timing in the vehicle file',
  restart: ({ programming }) =>
    programming.activation === 'bank'
      ? 'it may be booting in a loop; it falls back by itself when its trial boots are used up'
      : 'it may be booting in a loop, or need more time',
  security: () => 'check the security profile and secret in the vehicle file',
  'security-delay': () =>
    'too many wrong keys: wait for its delay, then check the secret in the vehicle file',
  'no-key': () =>
    'neither the vehicle file (security.secret) nor an identity has its key: ' +
    'give the identity.json that can-ota provision wrote',
  'no-authority': () =>
    'there is no key of it, give the identity.json that can-ota provision wrote',
  'no-previous-image': ({ name }) => `program it with "can-ota flash ${name} FILE"`,
};

/** For a TMU and everybody else who has a vehicle file and the identity of the vehicle. */
export const vehicleFileAdvice: Advice = {
  about: (topic, ecu) => WORDS[topic](ecu),
  field: (name) => name,
};
