// Sessions of devices: mutual challenge and response over a shared key or by key pairs, then a token with a short life, or
// a sealed session with a long one.

import { createHmac } from 'node:crypto';
import { constantTimeEqual, fromHex, toHex } from '../../../src/core/bytes.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { defined } from '../../../src/core/optional.ts';
import type { Random } from '../../../src/core/random.ts';
import {
  clientProof,
  type SessionExchange,
  sameProof,
  serverProof,
  sessionKeys,
} from '../../../src/trust/device-session.ts';
import {
  agreedKey,
  type ExchangedKeys,
  nextDeviceKey,
  signedByClient,
  signedByServer,
} from '../../../src/trust/key-agreement.ts';
import type { SealedSession } from '../../../src/trust/sealed-session.ts';
import { bindingOf, openingProof, type SessionWish } from '../../../src/trust/session-opening.ts';
import type { SignedJson } from '../../../src/trust/signed-json.ts';
import {
  ed25519PublicKey,
  generateX25519,
  verifyWith,
  x25519PublicKey,
} from '../../../src/trust/signing-key.ts';
import type { RegisteredDevice } from '../../platform/auth/identity.ts';
import type { DeviceTokenStore } from './device-token-store.ts';
import type { SealedSessionStore } from './sealed-session-store.ts';
import type { DeviceStore } from './store.ts';

/** How long a device has to answer. */
const CHALLENGE_LIFE_MS = 60_000;
/** How long a token lasts; a device gets the next one in two requests. */
const SESSION_LIFE_MS = 15 * 60_000;
/** How long a sealed session lasts; a device opens the next one when half of it is over. */
const SEALED_LIFE_MS = 24 * 3_600_000;

export interface Challenge {
  readonly challenge: string;
  readonly serverNonce: string;
  readonly serverProof: string;
  /** Under the key that the device may have changed to. */
  readonly nextProof: string;
  readonly expiresAt: string;
  /** For an exchange by key pairs: the server's X25519 key, and all of the exchange signed by the role `time`. */
  readonly serverKey?: string;
  readonly serverSignature?: SignedJson;
}

export interface SessionAnswer {
  readonly challenge: string;
  readonly proof: string;
  /** By key pairs: of the device's own key over the exchange, hexadecimal. */
  readonly signature?: string | undefined;
  /** Missing: a token is wanted. */
  readonly wish?: SessionWish | undefined;
}

export interface OpenedSession {
  readonly expiresAt: string;
  /** The last counter that was known before. */
  readonly counter: number;
  readonly proof: string;
}

/** Signs with the online role `time` of the Director. */
export type SignSession = (signed: unknown) => Promise<SignedJson> | SignedJson;

export interface DeviceSessionParts {
  readonly devices: DeviceStore;
  readonly sealed: SealedSessionStore;
  readonly tokens: DeviceTokenStore;
  readonly clock: Clock;
  readonly random: Random;
  /** Undefined on a server that signs nothing: there is no session by key pairs. */
  readonly sign: SignSession | undefined;
}

export interface SessionToken {
  readonly token: string;
  readonly expiresAt: string;
}

/** A challenge that was answered, rightly or not. */
interface Answered {
  readonly expiresMs: number;
  right: boolean;
}

/** What a challenge is made of. It travels to the device and back under our own MAC: nothing is stored for it. */
interface ChallengeFacts {
  readonly serial: string;
  readonly hwId: string;
  readonly clientNonce: string;
  readonly serverNonce: string;
  readonly expiresMs: number;
  /** Empty for an exchange over the shared key. */
  readonly clientKey: string;
}

export class DeviceSessions {
  readonly #devices: DeviceStore;
  readonly #sealed: SealedSessionStore;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #sign: SignSession | undefined;
  readonly #tokens: DeviceTokenStore;
  /** Each process has its own: challenges end with it, sessions do not. */
  readonly #secret: Uint8Array;
  /** The key is the server's nonce. An entry stays until its challenge expires; the guards bound how many challenges are given out. */
  readonly #answered = new Map<string, Answered>();

  constructor({ devices, sealed, tokens, clock, random, sign }: DeviceSessionParts) {
    this.#devices = devices;
    this.#sealed = sealed;
    this.#tokens = tokens;
    this.#clock = clock;
    this.#random = random;
    this.#sign = sign;
    this.#secret = random.bytes(32);
  }

  /**
   * A challenge for any serial: whether there is such a device, and whether it may log in, cannot be told from it.
   * Nothing is stored, so a flood of questions fills no memory and pushes out no other challenge. With `clientKey` (X25519, hexadecimal)
   * for an exchange by key pairs; undefined where this server signs none.
   */
  async challenge(
    { serial, hwId }: { readonly serial: string; readonly hwId: string },
    clientNonce: string,
    clientKey = '',
  ): Promise<Challenge | undefined> {
    const facts: ChallengeFacts = {
      serial,
      hwId,
      clientNonce,
      serverNonce: toHex(this.#random.bytes(16)),
      expiresMs: Math.ceil(this.#clock.nowMs() + CHALLENGE_LIFE_MS),
      clientKey,
    };
    const challenge = this.#seal(facts);
    const exchanged: SessionExchange = { ...facts, challenge };
    const common = {
      challenge,
      serverNonce: facts.serverNonce,
      expiresAt: new Date(this.#clock.wallMs() + CHALLENGE_LIFE_MS).toISOString(),
    };
    if (clientKey !== '') {
      const pair = this.#pairOf(exchanged, clientKey);
      if (pair === undefined || this.#sign === undefined) return undefined;
      return {
        ...common,
        serverProof: serverProof(pair.key, exchanged),
        nextProof: serverProof(pair.key, exchanged),
        serverKey: pair.keys.serverKey,
        serverSignature: await this.#sign(signedByServer(exchanged, pair.keys)),
      };
    }
    const device = await this.#devices.bySerial(serial);
    return {
      ...common,
      serverProof: serverProof(this.#keyOf(serial, device), exchanged),
      nextProof: serverProof(await this.#nextKeyOf(serial), exchanged),
    };
  }

  /** The token, or undefined: one answer for whatever was wrong. A challenge works once. */
  async respond(answer: SessionAnswer): Promise<SessionToken | OtherChip | undefined> {
    const proven = await this.#prove(answer, '');
    if (proven === undefined || 'otherChip' in proven) return proven;
    const { token } = sessionKeys(proven.key, proven.exchanged);
    return {
      token,
      expiresAt: await this.#tokens.open(token, proven.device.serial, SESSION_LIFE_MS),
    };
  }

  /** As `respond`, for a sealed session: nothing that opens it travels. */
  async openSealed(
    answer: SessionAnswer & { readonly wish: SessionWish },
    address: string,
  ): Promise<OpenedSession | OtherChip | undefined> {
    const { wish } = answer;
    const proven = await this.#prove(answer, address);
    if (proven === undefined || 'otherChip' in proven) return proven;
    const { id, secret } = sessionKeys(proven.key, proven.exchanged);
    const { serial } = proven.device;
    const session: SealedSession = { id, secret, serial, suite: wish.suite };
    const opened = await this.#sealed.open(session, wish.counter, SEALED_LIFE_MS, address);
    const { expiresAt, counter } = opened;
    return { expiresAt, counter, proof: openingProof(session, expiresAt, counter) };
  }

  /**
   * True for the first answer to a challenge of ours that is still open: the guard has counted the question, so the
   * answer costs nothing more. Otherwise a fleet behind one address would lose most of its log-ins half way.
   */
  isFirstAnswer(challenge: string): boolean {
    const facts = this.#unseal(challenge);
    const nowMs = this.#clock.nowMs();
    if (facts === undefined || facts.expiresMs <= nowMs) return false;
    if (this.#answered.has(facts.serverNonce)) return false;
    this.#forget(nowMs);
    this.#answered.set(facts.serverNonce, { expiresMs: facts.expiresMs, right: false });
    return true;
  }

  async #prove(
    { challenge, proof, signature, wish }: SessionAnswer,
    address: string,
  ): Promise<Proven | OtherChip | undefined> {
    const facts = this.#unseal(challenge);
    if (facts === undefined) return undefined;
    const { serial, clientKey } = facts;
    const exchanged: SessionExchange = {
      ...facts,
      challenge,
      ...defined({ binding: wish === undefined ? undefined : bindingOf(wish) }),
    };
    const device = await this.#devices.bySerial(serial);
    const pair = clientKey === '' ? undefined : this.#pairOf(exchanged, clientKey);
    const key = pair?.key ?? this.#keyOf(serial, device);
    const nextKey = pair?.key ?? (await this.#nextKeyOf(serial));
    const byNext = sameProof(clientProof(nextKey, exchanged), proof);
    const right = sameProof(clientProof(key, exchanged), proof) || byNext;
    const signed = pair === undefined || isSigned(device, exchanged, pair.keys, signature);
    const nowMs = this.#clock.nowMs();
    if (!right || !signed || device?.status !== 'active' || facts.expiresMs <= nowMs) {
      return undefined;
    }
    const { serverNonce, expiresMs } = facts;
    const answered = this.#answered.get(serverNonce) ?? { expiresMs, right: false };
    if (answered.right) return undefined;
    answered.right = true;
    this.#answered.set(serverNonce, answered);
    // The answer proves the device's key, so it may hear the reason: the registry has this serial with another chip.
    if (facts.hwId !== device.hwId) return { otherChip: facts.hwId, device };
    if (pair === undefined && byNext) {
      await this.#sealed.changeTo(serial, toHex(nextKey), { who: serial, address });
      return { device, exchanged, key: nextKey };
    }
    return { device, exchanged, key };
  }

  /**
   * Agrees on the next key of a device; both keys open sessions until the device has proven the next one. Returns our X25519 key,
   * hexadecimal; undefined where `clientKey` is none.
   */
  async rotate(session: SealedSession, clientKey: string): Promise<string | undefined> {
    const pair = generateX25519(this.#random);
    const serverKey = toHex(pair.publicKey);
    const next = nextDeviceKey(session, pair.privateKey, { clientKey, serverKey }, 'server');
    if (next === undefined) return undefined;
    await this.#sealed.propose(session.serial, toHex(next));
    return serverKey;
  }

  /** The serial of a live session. Whether the device is still active is for the caller to look up. */
  serialOf(token: string): Promise<string | undefined> {
    return this.#tokens.serialOf(token);
  }

  /** Ends all sessions of a device. */
  end(serial: string): Promise<void> {
    return this.#tokens.end(serial);
  }

  /** About in the order of expiry: what is over stands in front. */
  #forget(nowMs: number): void {
    for (const [serverNonce, { expiresMs }] of this.#answered) {
      if (expiresMs > nowMs) break;
      this.#answered.delete(serverNonce);
    }
  }

  /** An unknown device gets a random key: the answer looks like a real one and takes as long. */
  #keyOf(serial: string, device: RegisteredDevice | undefined): Uint8Array {
    const unknown = createHmac('sha256', this.#secret).update(`nobody|${serial}`).digest();
    return device?.secretHash === undefined ? Uint8Array.from(unknown) : fromHex(device.secretHash);
  }

  /** A random key where the device has no next one. */
  async #nextKeyOf(serial: string): Promise<Uint8Array> {
    const next = await this.#sealed.nextKey(serial);
    if (next !== undefined) return fromHex(next);
    return Uint8Array.from(createHmac('sha256', this.#secret).update(`next|${serial}`).digest());
  }

  /** Our key of this exchange follows from the challenge: nothing is stored for it either. */
  #pairOf(exchanged: SessionExchange, clientKey: string): Pair | undefined {
    const mac = createHmac('sha256', this.#secret).update(`pair|${exchanged.challenge}`).digest();
    const privateKey = Uint8Array.from(mac);
    const keys = { clientKey, serverKey: toHex(x25519PublicKey(privateKey)) };
    const key = agreedKey(privateKey, keys, 'server');
    return key === undefined ? undefined : { keys, key };
  }

  #seal(facts: ChallengeFacts): string {
    const { serial, hwId, clientNonce, serverNonce, expiresMs, clientKey } = facts;
    const text = [serial, hwId, clientNonce, serverNonce, clientKey, expiresMs].join('|');
    return `${Buffer.from(text).toString('base64url')}.${this.#mac(text)}`;
  }

  #unseal(challenge: string): ChallengeFacts | undefined {
    const [body = '', mac = ''] = challenge.split('.');
    const text = Buffer.from(body, 'base64url').toString('utf8');
    if (!constantTimeEqual(Buffer.from(this.#mac(text)), Buffer.from(mac))) return undefined;
    const [
      serial = '',
      hwId = '',
      clientNonce = '',
      serverNonce = '',
      clientKey = '',
      expires = '',
    ] = text.split('|');
    // One spelling each: another text for the same bytes would be a challenge that works a second time.
    const facts = { serial, hwId, clientNonce, serverNonce, clientKey, expiresMs: Number(expires) };
    return this.#seal(facts) === challenge ? facts : undefined;
  }

  #mac(text: string): string {
    return createHmac('sha256', this.#secret).update(`challenge|${text}`).digest('base64url');
  }
}

/** The key is right, and the chip is not the one that the registry has for this serial number. */
export interface OtherChip {
  /** As the device told it. */
  readonly otherChip: string;
  readonly device: RegisteredDevice;
}

interface Proven {
  readonly device: RegisteredDevice;
  readonly exchanged: SessionExchange;
  readonly key: Uint8Array;
}

interface Pair {
  readonly keys: ExchangedKeys;
  readonly key: Uint8Array;
}

/** By the key that the factory has registered. */
function isSigned(
  device: RegisteredDevice | undefined,
  exchanged: SessionExchange,
  keys: ExchangedKeys,
  signature: string | undefined,
): boolean {
  if (device?.signingKey === undefined || signature === undefined) return false;
  const message = signedByClient(exchanged, keys);
  return verifyWith(ed25519PublicKey(fromHex(device.signingKey)), message, signature);
}
