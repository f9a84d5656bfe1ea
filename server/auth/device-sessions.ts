// Sessions of devices: mutual challenge and response over a shared key, then a token with a short life.

import { createHash, createHmac } from 'node:crypto';
import { constantTimeEqual, fromHex, toHex } from '../../src/core/bytes.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { Random } from '../../src/core/random.ts';
import {
  clientProof,
  sameProof,
  serverProof,
  sessionKeys,
} from '../../src/trust/device-session.ts';
import type { Device, DeviceStore } from '../db/devices.ts';

/** How long a device has to answer. */
const CHALLENGE_LIFE_MS = 60_000;
/** How long a token lasts; a device gets the next one in two requests. */
export const SESSION_LIFE_MS = 15 * 60_000;
/** A device that starts anew leaves its last session behind; more than this are an error of it. */
const SESSIONS_PER_DEVICE = 2;

export interface Challenge {
  readonly challenge: string;
  readonly serverNonce: string;
  readonly serverProof: string;
  readonly expiresAt: string;
}

export interface SessionToken {
  readonly token: string;
  readonly expiresAt: string;
}

interface Session {
  readonly serial: string;
  readonly expiresMs: number;
}

/** What a challenge is made of. It travels to the device and back under our own MAC: nothing is stored for it. */
interface ChallengeFacts {
  readonly serial: string;
  readonly clientNonce: string;
  readonly serverNonce: string;
  readonly expiresMs: number;
}

export class DeviceSessions {
  readonly #devices: DeviceStore;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Of this process: challenges and sessions end with it. */
  readonly #secret: Uint8Array;
  /** By SHA-256 of the token: a dump of the memory of this map opens nothing. */
  readonly #sessions = new Map<string, Session>();
  readonly #tokensOf = new Map<string, string[]>();
  /** Challenges that were answered rightly, until they expire. Only who holds a device's key adds to them. */
  readonly #answered = new Map<string, number>();

  constructor(devices: DeviceStore, clock: Clock, random: Random) {
    this.#devices = devices;
    this.#clock = clock;
    this.#random = random;
    this.#secret = random.bytes(32);
  }

  /**
   * A challenge for any serial: whether there is such a device, and whether it may log in, cannot be told from it.
   * Nothing is kept, so a flood of questions fills nothing and pushes nobody's challenge out.
   */
  async challenge(serial: string, clientNonce: string): Promise<Challenge> {
    const device = await this.#devices.bySerial(serial);
    const facts: ChallengeFacts = {
      serial,
      clientNonce,
      serverNonce: toHex(this.#random.bytes(16)),
      expiresMs: Math.ceil(this.#clock.nowMs() + CHALLENGE_LIFE_MS),
    };
    const challenge = this.#seal(facts);
    return {
      challenge,
      serverNonce: facts.serverNonce,
      serverProof: serverProof(this.#keyOf(serial, device), {
        serial,
        clientNonce,
        serverNonce: facts.serverNonce,
        challenge,
      }),
      expiresAt: new Date(this.#clock.wallMs() + CHALLENGE_LIFE_MS).toISOString(),
    };
  }

  /** The token, or undefined: one answer for whatever was wrong. A challenge works once. */
  async respond(challenge: string, proof: string): Promise<SessionToken | undefined> {
    const facts = this.#unseal(challenge);
    if (facts === undefined) return undefined;
    const device = await this.#devices.bySerial(facts.serial);
    const key = this.#keyOf(facts.serial, device);
    const right = sameProof(clientProof(key, { ...facts, challenge }), proof);
    const nowMs = this.#clock.nowMs();
    if (!right || device?.status !== 'active' || facts.expiresMs <= nowMs) return undefined;
    this.#forget(nowMs);
    if (this.#answered.has(challenge)) return undefined;
    this.#answered.set(challenge, facts.expiresMs);
    const { token } = sessionKeys(key, { ...facts, challenge });
    this.#open(token, device.serial, nowMs);
    return {
      token,
      expiresAt: new Date(this.#clock.wallMs() + SESSION_LIFE_MS).toISOString(),
    };
  }

  /** The serial of a live session. Whether the device is still active is for the caller to look up. */
  serialOf(token: string): string | undefined {
    const session = this.#sessions.get(hashOf(token));
    if (session === undefined || session.expiresMs <= this.#clock.nowMs()) return undefined;
    return session.serial;
  }

  /** Ends all sessions of a device. */
  end(serial: string): void {
    for (const hash of this.#tokensOf.get(serial) ?? []) this.#sessions.delete(hash);
    this.#tokensOf.delete(serial);
  }

  get size(): number {
    return this.#sessions.size;
  }

  #open(token: string, serial: string, nowMs: number): void {
    const hash = hashOf(token);
    this.#sessions.set(hash, { serial, expiresMs: nowMs + SESSION_LIFE_MS });
    const hashes = [...(this.#tokensOf.get(serial) ?? []), hash];
    for (const old of hashes.splice(0, hashes.length - SESSIONS_PER_DEVICE)) {
      this.#sessions.delete(old);
    }
    this.#tokensOf.set(serial, hashes);
  }

  /** Both maps are in the order of expiry: what is over stands in front. */
  #forget(nowMs: number): void {
    for (const [challenge, expiresMs] of this.#answered) {
      if (expiresMs > nowMs) break;
      this.#answered.delete(challenge);
    }
    for (const [hash, session] of this.#sessions) {
      if (session.expiresMs > nowMs) break;
      this.#sessions.delete(hash);
      const left = (this.#tokensOf.get(session.serial) ?? []).filter((other) => other !== hash);
      if (left.length === 0) this.#tokensOf.delete(session.serial);
      else this.#tokensOf.set(session.serial, left);
    }
  }

  /** A device that is not there has a key too, which nobody knows: the answer looks and takes as long as a real one. */
  #keyOf(serial: string, device: Device | undefined): Uint8Array {
    const nobody = createHmac('sha256', this.#secret).update(`nobody|${serial}`).digest();
    return device?.secretHash === undefined ? Uint8Array.from(nobody) : fromHex(device.secretHash);
  }

  #seal(facts: ChallengeFacts): string {
    const text = [facts.serial, facts.clientNonce, facts.serverNonce, facts.expiresMs].join('|');
    return `${Buffer.from(text).toString('base64url')}.${this.#mac(text)}`;
  }

  #unseal(challenge: string): ChallengeFacts | undefined {
    const [body = '', mac = ''] = challenge.split('.');
    const text = Buffer.from(body, 'base64url').toString('utf8');
    if (!constantTimeEqual(Buffer.from(this.#mac(text)), Buffer.from(mac))) return undefined;
    const [serial = '', clientNonce = '', serverNonce = '', expires = ''] = text.split('|');
    // One spelling each: another text for the same bytes would be a challenge that works a second time.
    const facts = { serial, clientNonce, serverNonce, expiresMs: Number(expires) };
    return this.#seal(facts) === challenge ? facts : undefined;
  }

  #mac(text: string): string {
    return createHmac('sha256', this.#secret).update(`challenge|${text}`).digest('base64url');
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
