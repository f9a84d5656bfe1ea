// What a person can do about a failure of an ECU, worded for the source of the ECU's description.

import type { VehicleEcu } from '../vehicle/schema.ts';

export const ADVICE_TOPICS = [
  /** The ECU does not answer at all. */
  'silent',
  /** The ECU did not answer within `timing.resetMs` after its reset. */
  'restart',
  /** SecurityAccess of the ECU is missing or refused. */
  'security',
  /** The ECU got too many wrong keys and refuses every key for some time. */
  'security-delay',
  /** No secret is known with which to answer the seed. */
  'no-key',
  /** The ECU takes orders with the key of its TMU, and that key is missing. */
  'no-authority',
  /** The only bank must be restored, and the previous image is not kept. */
  'no-previous-image',
] as const;
export type AdviceTopic = (typeof ADVICE_TOPICS)[number];

export interface Advice {
  /** The advice, which completes the sentence of a failure. */
  readonly about: (topic: AdviceTopic, ecu: VehicleEcu) => string;
  /** How a person changes a field of the vehicle file (`timing.resetMs`). */
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

/** Advice for a TMU and for other users with a vehicle file and the identity of the vehicle. */
export const vehicleFileAdvice: Advice = {
  about: (topic, ecu) => WORDS[topic](ecu),
  field: (name) => name,
};
