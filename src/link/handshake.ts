// Challenge and response with the backend: it proves that it knows this device before the device sends anything else.

import type { z } from 'zod';
import { urlOf } from '../contract/endpoint.ts';
import { challenge } from '../contract/endpoints/registry/challenge.ts';
import { answerChallenge } from '../contract/endpoints/registry/response.ts';
import type { BackendFailure } from '../core/backend-failure.ts';
import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { defined } from '../core/optional.ts';
import type { Random } from '../core/random.ts';
import {
  clientProof,
  SESSION_NONCE_BYTES,
  type SessionExchange,
  sameProof,
  serverProof,
} from '../trust/device-session.ts';
import { agreedKey, type ExchangedKeys, signedByClient } from '../trust/key-agreement.ts';
import { bindingOf, type SessionWish } from '../trust/session-opening.ts';
import { generateX25519, type LocalSigner } from '../trust/signing-key.ts';
import type { DeviceKeys } from './device-keys.ts';
import { parseJson } from './foreign-answer.ts';
import { type HttpClient, withSignal } from './http-client.ts';

/** A key pair of the device and a check of the backend's signature, instead of a shared key. */
export interface KeyPairCredential {
  readonly signer: LocalSigner;
  /** Checks the signature: undefined when it is valid, otherwise the fault. */
  readonly problem: (
    signature: unknown,
    exchanged: SessionExchange,
    keys: ExchangedKeys,
  ) => Promise<string | undefined> | string | undefined;
}

export interface HandshakeOptions {
  readonly serial: string;
  /** Chip number of the device, which the backend compares with its registry. */
  readonly hwId: string;
  readonly keys: DeviceKeys;
  readonly pair?: KeyPairCredential | undefined;
  readonly random: Random;
  readonly clock: Clock;
  readonly client: HttpClient;
  /** The server's address, with a slash at the end. */
  readonly base: URL;
}

/** The result after both sides have proven themselves; `answer` is the server's last answer in the requested form. */
export interface Agreed<T> {
  readonly kind: 'agreed';
  readonly exchanged: SessionExchange;
  readonly key: Uint8Array;
  readonly answer: T;
}

type ChallengeAnswer = z.output<typeof challenge.response.body>;

/** Makes the handshake: for a sealed session with `wish`, otherwise for a token. */
export async function shakeHands<T>(
  options: HandshakeOptions,
  schema: z.ZodType<T>,
  wish?: SessionWish,
  signal?: AbortSignal,
): Promise<Agreed<T> | BackendFailure> {
  const { serial, hwId, random, keys, clock, pair } = options;
  const clientNonce = toHex(random.bytes(SESSION_NONCE_BYTES));
  const own = pair === undefined ? undefined : generateX25519(random);
  const clientKey = defined({ clientKey: own && toHex(own.publicKey) });
  const question = { serial, hw_id: hwId, clientNonce, ...clientKey };
  const given = await post(options, challenge.path, question, challenge.response.body, signal);
  if ('kind' in given) return given;
  const told = given.value;
  const plain: SessionExchange = {
    serial,
    clientNonce,
    serverNonce: told.serverNonce,
    challenge: told.challenge,
  };
  const exchanged = wish === undefined ? plain : { ...plain, binding: bindingOf(wish) };
  let key: Uint8Array | undefined;
  let clientSignature = {};
  if (pair === undefined || own === undefined) {
    key = keys.candidates.find((candidate) => isProvenBy(candidate, plain, told));
    if (key === undefined) {
      return unproven(
        options,
        `it does not know the key of ${serial}: either it is not our backend, or this device is not in its registry ` +
          '(provision it with "can-ota provision")',
      );
    }
  } else {
    const exchangedKeys = { clientKey: toHex(own.publicKey), serverKey: told.serverKey ?? '' };
    const problem = await pair.problem(told.serverSignature, plain, exchangedKeys);
    key = problem === undefined ? agreedKey(own.privateKey, exchangedKeys, 'client') : undefined;
    if (key === undefined || !isProvenBy(key, plain, told)) {
      return unproven(options, `its signature of the session ${problem ?? 'is for other keys'}`);
    }
    const signature = pair.signer.sign(signedByClient(exchanged, exchangedKeys));
    clientSignature = { clientSignature: signature };
  }
  const proof = clientProof(key, exchanged);
  const sealed = defined({ sealed: wish });
  const body = { challenge: told.challenge, clientProof: proof, ...clientSignature, ...sealed };
  const answer = await post(options, answerChallenge.path, body, schema, signal);
  if ('kind' in answer) return answer;
  // Only now: until the backend has the proof, it may continue with the previous key.
  if (pair === undefined) await keys.proven(key, clock.wallMs());
  return { kind: 'agreed', exchanged, key, answer: answer.value };
}

export function unproven({ base }: { readonly base: URL }, what: string): BackendFailure {
  return {
    kind: 'failed',
    code: 'SERVER_NOT_AUTHENTIC',
    reason: `${base.origin} has not proven itself: ${what}`,
    transient: false,
  };
}

function isProvenBy(key: Uint8Array, exchanged: SessionExchange, told: ChallengeAnswer): boolean {
  const expected = serverProof(key, exchanged);
  return sameProof(expected, told.serverProof) || sameProof(expected, told.nextProof ?? '');
}

async function post<T>(
  { client, base }: HandshakeOptions,
  path: `/${string}`,
  body: unknown,
  schema: z.ZodType<T>,
  signal?: AbortSignal,
): Promise<{ readonly value: T } | BackendFailure> {
  const url = urlOf(base, { path });
  const answer = await client.json(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...withSignal(signal),
  });
  if ('kind' in answer) return answer;
  if (answer.status !== 200) return client.refused(answer, url);
  return parseJson(answer.body, schema, url);
}
