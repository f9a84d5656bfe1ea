// A requester that authenticates each request and answer with service 84.

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
import type { KeepAlive, RequestOptions, UdsReply, UdsRequester } from '../uds/reply.ts';
import { Sid } from '../uds/services/all.ts';
import * as readDataByIdentifier from '../uds/services/read-data-by-identifier.ts';
import * as securedData from '../uds/services/secured-data-transmission.ts';
import { Did, NEGATIVE_RESPONSE } from '../uds/sid.ts';

/** The role that sends to one ECU, and the shared key; see `src/trust/authority.ts`. */
export interface OrderAuthority {
  readonly role: AuthorityRole;
  readonly key: Uint8Array;
}

/** Services that an ECU takes in service 84; all others are sent unchanged. */
const SECURED: ReadonlySet<number> = new Set([
  Sid.ecuReset,
  Sid.clearDiagnosticInformation,
  Sid.readDataByIdentifier,
  Sid.writeDataByIdentifier,
  Sid.inputOutputControlByIdentifier,
  Sid.routineControl,
]);

/**
 * How often one message is sent until its authentic answer arrives. The ECU carries it out once and repeats its answer.
 */
const SENDINGS = 4;
/** How many challenges are requested: the ECU can restart, or another node answer, between challenge and message. */
const CHALLENGES = 3;

/** Length of DID FD24. */
const CHALLENGE_BYTES = AUTHORITY_CHALLENGE_BYTES + 2 + AUTHORITY_MAC_BYTES;
/** The last counter value; an ECU that takes it makes a new challenge. */
const LAST_NUMBER = 0xffff;

interface Challenge {
  readonly bytes: Uint8Array;
  readonly counter: number;
}

/** What all users of a requester have sent to its ECU. */
interface Sent {
  /** Tail of the queue: a challenge serves one message at a time. */
  turn: Promise<unknown>;
  challenge: Uint8Array;
  /** The highest counter sent with this challenge, whether it has arrived or not. */
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
 * An answer counts only with a valid MAC. Any other answer, also a negative response, may come from another node: the
 * same message is sent again. A message without an authentic answer ends as `unexpected`, or as silent when no answer
 * came.
 */
export class SecuredRequester implements UdsRequester {
  readonly #plain: UdsRequester;
  readonly #authority: OrderAuthority;
  readonly #once: boolean;

  /**
   * `once`: a request is never sent with a second challenge, because the ECU may have carried out the first message.
   */
  constructor(plain: UdsRequester, authority: OrderAuthority, { once = false } = {}) {
    this.#plain = plain;
    this.#authority = authority;
    this.#once = once;
  }

  broadcast(request: Uint8Array): Promise<void> {
    return this.#plain.broadcast(request);
  }

  keepAlive(whom: KeepAlive): void {
    this.#plain.keepAlive(whom);
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
      // Another node may have answered: ask the ECU again.
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
    // The factory does not have the TMU's key; it works on a separate bus.
    if (role === 'tester' && !constantTimeEqual(mac, challengeMac(key, bytes, counter))) {
      return notAuthentic(reply);
    }
    return { bytes, counter };
  }

  /** The next counter: above the ECU's counter and above all counters that were sent. */
  #number({ bytes, counter }: Challenge): number {
    const sent = sentTo(this.#plain);
    const isSame = equalBytes(sent.challenge, bytes);
    sent.counter = Math.max(counter, isSame ? sent.counter : 0) + 1;
    sent.challenge = bytes;
    return sent.counter;
  }

  /** The reply of the inner service, or the last other reply. */
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

  /** Opens the answer; undefined when it is not authentic. */
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

/** Whether no further try follows: the bus is gone, or the caller has stopped. */
function isFinal(reply: UdsReply): boolean {
  return reply.kind === 'transport' && (reply.result === 'BUS' || reply.result === 'CLOSED');
}

/**
 * The reply for an answer without a valid MAC. Such an answer proves nothing, and neither does a refusal: the ECU may
 * have carried out the request. Only "busy" is passed on, which can only cause a delay.
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
