// A requester whose orders and questions carry authority of their own: service 84 around each of them.

import { byteAt, bytesToUint, constantTimeEqual, equalBytes } from '../core/bytes.ts';
import {
  AUTHORITY_CALCULATION,
  AUTHORITY_CHALLENGE_BYTES,
  AUTHORITY_MAC_BYTES,
  type AuthorityRole,
  challengeMac,
  requestMac,
  responseMac,
} from '../trust/authority.ts';
import { isMalformed } from '../uds/codec.ts';
import { matchResponse } from '../uds/match.ts';
import { Nrc, nrcText } from '../uds/nrc.ts';
import type { RequestOptions, UdsReply, UdsRequester } from '../uds/reply.ts';
import { Sid } from '../uds/services/all.ts';
import * as readDataByIdentifier from '../uds/services/read-data-by-identifier.ts';
import * as securedData from '../uds/services/secured-data-transmission.ts';
import { Did, NEGATIVE_RESPONSE } from '../uds/sid.ts';

/** Who speaks to one ECU, and the key that both have; see `src/trust/authority.ts`. */
export interface OrderAuthority {
  readonly role: AuthorityRole;
  readonly key: Uint8Array;
}

/** What an ECU takes in service 84; everything else goes as it is. */
const SECURED: ReadonlySet<number> = new Set([
  Sid.ecuReset,
  Sid.clearDiagnosticInformation,
  Sid.readDataByIdentifier,
  Sid.writeDataByIdentifier,
  Sid.inputOutputControlByIdentifier,
  Sid.routineControl,
]);

/** Times that one message is sent until its authentic answer is here. The ECU does it once and repeats its answer. */
const SENDINGS = 4;
/** Challenges that are asked for: the ECU may restart, or somebody else answer, between challenge and message. */
const CHALLENGES = 3;

/** Data of DID FD24. */
const CHALLENGE_BYTES = AUTHORITY_CHALLENGE_BYTES + 2 + AUTHORITY_MAC_BYTES;
/** The ECU that takes it has a new challenge afterwards. */
const LAST_NUMBER = 0xffff;

interface Challenge {
  readonly bytes: Uint8Array;
  readonly counter: number;
}

/** What all that share a requester have sent to its ECU. */
interface Sent {
  /** A challenge serves one message at a time. */
  turn: Promise<unknown>;
  challenge: Uint8Array;
  /** The highest number under this challenge, whether it has arrived or not. */
  counter: number;
}

const sentBy = new WeakMap<UdsRequester, Sent>();

function sentTo(requester: UdsRequester): Sent {
  const known = sentBy.get(requester);
  if (known !== undefined) return known;
  const sent = { turn: Promise.resolve(), challenge: new Uint8Array(), counter: 0 };
  sentBy.set(requester, sent);
  return sent;
}

/**
 * An answer counts when its MAC is right. Anything else that comes in its place, also a negative response, is a word of
 * somebody who may be anybody: the same message is sent again, and what stays unanswered ends as `unexpected`, or as
 * what the ECU itself would say when it is silent.
 */
export class SecuredRequester implements UdsRequester {
  readonly #plain: UdsRequester;
  readonly #authority: OrderAuthority;
  readonly #once: boolean;

  /** `once`: no second message with another challenge is ever made of a request, since the first may have been done. */
  constructor(plain: UdsRequester, authority: OrderAuthority, { once = false } = {}) {
    this.#plain = plain;
    this.#authority = authority;
    this.#once = once;
  }

  broadcast(request: Uint8Array): Promise<void> {
    return this.#plain.broadcast(request);
  }

  keepAlive(on: boolean): void {
    this.#plain.keepAlive(on);
  }

  request(request: Uint8Array, options: RequestOptions = {}): Promise<UdsReply> {
    if (!SECURED.has(byteAt(request, 0))) return this.#plain.request(request, options);
    const sent = sentTo(this.#plain);
    const reply = sent.turn.then(() => this.#secured(request, options));
    sent.turn = reply.catch(() => {});
    return reply;
  }

  async #secured(inner: Uint8Array, options: RequestOptions): Promise<UdsReply> {
    for (let left = CHALLENGES; ; left--) {
      const challenge = await this.#challenge(options);
      // Somebody else may have answered: the ECU is asked again.
      if ('kind' in challenge && challenge.kind === 'unexpected' && left > 1) continue;
      if ('kind' in challenge) return challenge;
      const reply = await this.#send(inner, challenge, options);
      const isStale = reply.kind === 'negative' && reply.nrc === Nrc.secureDataVerificationFailed;
      const isLast = this.#once || left === 1;
      if (!isStale || isLast) return isStale ? notAuthentic(reply) : reply;
    }
  }

  async #challenge(options: RequestOptions): Promise<Challenge | UdsReply> {
    const request = readDataByIdentifier.encodeRequest(Did.securedDataChallenge);
    const reply = await this.#plain.request(request, options);
    if (reply.kind !== 'positive') return reply;
    const data = reply.data.subarray(3);
    if (data.length !== CHALLENGE_BYTES) {
      const reason = `${data.length} bytes, expected ${CHALLENGE_BYTES}: challenge, counter and MAC`;
      return { kind: 'malformed', data: reply.data, reason };
    }
    const bytes = data.slice(0, AUTHORITY_CHALLENGE_BYTES);
    const counter = bytesToUint(data.subarray(AUTHORITY_CHALLENGE_BYTES, -AUTHORITY_MAC_BYTES));
    const { key, role } = this.#authority;
    const mac = data.subarray(-AUTHORITY_MAC_BYTES);
    // The factory has no key of the TMU; it works on a bus of its own.
    if (role === 'tester' && !constantTimeEqual(mac, challengeMac(key, bytes, counter))) {
      return notAuthentic(reply);
    }
    return { bytes, counter };
  }

  /** Above what the ECU has taken, and above all that was sent and may still be on its way. */
  #number({ bytes, counter }: Challenge): number {
    const sent = sentTo(this.#plain);
    const isSame = equalBytes(sent.challenge, bytes);
    sent.counter = Math.max(counter, isSame ? sent.counter : 0) + 1;
    sent.challenge = bytes;
    return sent.counter;
  }

  /** The reply of the inner service, or what came last in its place. */
  async #send(inner: Uint8Array, challenge: Challenge, options: RequestOptions): Promise<UdsReply> {
    const { key, role } = this.#authority;
    const calculation = AUTHORITY_CALCULATION[role];
    let mac = new Uint8Array();
    const number = this.#number(challenge);
    if (number > LAST_NUMBER) {
      const reason = `all numbers up to ${LAST_NUMBER} are used: restart the ECU, which gives a new challenge`;
      return { kind: 'unexpected', data: challenge.bytes, reason };
    }
    const request = securedData.encodeRequest(
      { calculation, counter: number, inner },
      AUTHORITY_MAC_BYTES,
      (authenticated) => {
        mac = Uint8Array.from(requestMac(key, challenge.bytes, authenticated));
        return mac;
      },
    );
    for (let left = SENDINGS; ; left--) {
      const reply = await this.#plain.request(request, options);
      const answer =
        reply.kind === 'positive' ? this.#open(reply, inner, challenge, mac) : undefined;
      if (answer !== undefined) return answer;
      if (left === 1 || options.signal?.aborted || isFinal(reply)) return notAuthentic(reply);
      if (
        reply.kind === 'negative' &&
        reply.nrc === Nrc.secureDataVerificationFailed &&
        !this.#once
      ) {
        return reply;
      }
    }
  }

  /** Undefined for an answer that is not authentic. */
  #open(
    reply: Extract<UdsReply, { kind: 'positive' }>,
    inner: Uint8Array,
    challenge: Challenge,
    macOfRequest: Uint8Array,
  ): UdsReply | undefined {
    const message = securedData.decodeResponse(reply.data);
    if (isMalformed(message)) return undefined;
    const { key } = this.#authority;
    const mac = responseMac(key, challenge.bytes, macOfRequest, message.authenticated);
    if (!constantTimeEqual(mac, message.mac)) return undefined;
    const data = Uint8Array.from(message.inner);
    const match = matchResponse(inner, data);
    switch (match.kind) {
      case 'positive':
        return { kind: 'positive', data, atMs: reply.atMs };
      case 'negative':
        return { kind: 'negative', sid: byteAt(inner, 0), nrc: match.nrc };
      case 'pending':
        return { kind: 'malformed', data, reason: 'responsePending inside of service 84' };
      case 'malformed':
      case 'foreign':
        return { kind: 'malformed', data, reason: match.reason };
    }
  }
}

/** The bus is gone, or the caller has had enough. */
function isFinal(reply: UdsReply): boolean {
  return reply.kind === 'transport' && (reply.result === 'BUS' || reply.result === 'CLOSED');
}

/**
 * Without the right MAC an answer proves nothing, a refusal neither: the ECU may have done what was asked. Only "busy" is
 * passed on, which delays.
 */
function notAuthentic(reply: UdsReply): UdsReply {
  switch (reply.kind) {
    case 'positive':
      return {
        kind: 'unexpected',
        data: reply.data,
        reason:
          'its answer does not have the right MAC: another node answers, or the key is another one',
      };
    case 'negative':
      return reply.nrc === Nrc.busyRepeatRequest
        ? reply
        : {
            kind: 'unexpected',
            data: Uint8Array.of(NEGATIVE_RESPONSE, reply.sid, reply.nrc),
            reason: `${nrcText(reply.nrc)} without a MAC: the key is another one, or another node answers in its place`,
          };
    default:
      return reply;
  }
}
