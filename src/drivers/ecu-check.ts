// Looks at one ECU without changing it: whether it answers, its identification, sessions, timing and security level.

import { byteAt, fromHex } from '../core/bytes.ts';
import { defined } from '../core/optional.ts';
import { isMalformed } from '../uds/codec.ts';
import { replyText } from '../uds/error.ts';
import type { UdsReply } from '../uds/reply.ts';
import { Sid } from '../uds/services/all.ts';
import * as diagnosticSessionControl from '../uds/services/diagnostic-session-control.ts';
import * as readDataByIdentifier from '../uds/services/read-data-by-identifier.ts';
import * as securityAccess from '../uds/services/security-access.ts';
import { Did, Session } from '../uds/sid.ts';
import { Exchange, type ExchangeOptions } from './exchange.ts';
import { ReadOnlyRequester } from './read-only-requester.ts';

type CheckedSession = 'default' | 'extended';

/** The answer to one data identifier. `answer`: in words, where it was not read. */
export type CheckedDid =
  | { readonly did: number; readonly session: CheckedSession; readonly data: Uint8Array }
  | { readonly did: number; readonly answer: string };

interface CheckedSessionAnswer {
  readonly session: CheckedSession;
  readonly entered: boolean;
  /** In words. */
  readonly answer: string;
  /** P2server_max and P2*server_max of the answer, ms. */
  readonly told?: { readonly p2Ms: number; readonly p2StarMs: number };
}

interface CheckedSecurity {
  /** Odd sub-function of requestSeed. */
  readonly level: number;
  readonly session: CheckedSession;
  readonly answer: string;
  /** Bytes of the seed, where one came. All zero: the level is open. */
  readonly seedBytes?: number;
  readonly open?: boolean;
}

/** Why nothing can be said of an ECU; `reason` says what to do. */
interface Unreachable {
  readonly reachable: false;
  readonly code: string;
  readonly reason: string;
}

export interface Reached {
  readonly reachable: true;
  /** The request that was answered first: `3E 00`. */
  readonly firstAnswered: string;
  readonly dids: readonly CheckedDid[];
  /** Session that DID F186 tells before anything is changed; undefined where it is not told. */
  readonly activeSession?: number;
  /** Empty where another session than the default one is active: it may be another tester's. */
  readonly sessions: readonly CheckedSessionAnswer[];
  readonly security?: CheckedSecurity;
}

export type EcuCheck = Unreachable | Reached;

export interface EcuCheckOptions extends ExchangeOptions {
  /** Level of requestSeed; missing: that of the vehicle file, or 1. */
  readonly level?: number | undefined;
  readonly signal?: AbortSignal;
}

/** ISO 14229-1 table C.1: identification of software, hardware and vehicle. F186 is asked for apart. */
const IDENTIFICATION_DIDS: readonly number[] = Array.from(
  { length: 0x20 },
  (_, index) => 0xf180 + index,
).filter((did) => did !== Did.activeDiagnosticSession);

const TESTER_PRESENT = Uint8Array.of(Sid.testerPresent, 0x00);
const FIRST_LEVEL = 1;
/** Longest waits of one question: a look is no programming. */
const PENDING_LIMIT_MS = 10_000;
const PATIENCE_MS = 2_000;
/** Identifiers in a row without an answer after which the ECU must show that it is still there. */
const SILENT_IN_A_ROW = 3;

/** Every request passes `ReadOnlyRequester`. The extended session is left before the promise resolves. */
export async function checkEcu(options: EcuCheckOptions): Promise<EcuCheck> {
  return new Look(options).run();
}

class Look {
  readonly #options: EcuCheckOptions;
  readonly #exchange: Exchange;
  readonly #dids = new Map<number, CheckedDid>();

  constructor(options: EcuCheckOptions) {
    this.#options = options;
    const { ecu, clock, advice } = options;
    const requester = new ReadOnlyRequester(options.requester);
    this.#exchange = new Exchange({ ecu, clock, requester, ...defined({ advice }) });
  }

  async run(): Promise<EcuCheck> {
    const presence = await this.#present();
    if (presence.reply === 'interrupted' || isDown(presence.reply)) {
      return this.#unreachable(presence.request, presence.reply);
    }
    const answersByDefault = isAnswer(presence.reply);
    const active = answersByDefault ? await this.#activeSession() : undefined;
    if (active !== undefined && active !== Session.default) {
      await this.#readDids('default', IDENTIFICATION_DIDS);
      return this.#reached(presence.request, [], undefined, active);
    }
    if (answersByDefault) await this.#readDids('default', IDENTIFICATION_DIDS);
    const sessions: CheckedSessionAnswer[] = [];
    let security: CheckedSecurity | undefined;
    const enter = diagnosticSessionControl.encodeRequest(Session.extended);
    let extended: UdsReply | 'interrupted' = 'interrupted';
    let left: CheckedSessionAnswer | undefined;
    try {
      extended = await this.#ask(enter);
      if (!answersByDefault && (extended === 'interrupted' || !isAnswer(extended))) {
        return this.#unreachable(presence.request, presence.reply);
      }
      const entered = sessionAnswer('extended', extended);
      sessions.push(entered);
      if (entered.entered) await this.#readDids('extended', this.#unread(answersByDefault));
      security = await this.#requestSeed(entered.entered ? 'extended' : 'default');
    } finally {
      // Also where its answer was lost, and after a signal: the session would otherwise last until S3.
      left = sessionAnswer('default', await this.#leave());
    }
    const request = answersByDefault ? presence.request : enter;
    return this.#reached(request, [left, ...sessions], security, active);
  }

  /** Asks with what every ECU knows, then with what nearly every ECU answers. */
  async #present(): Promise<{ request: Uint8Array; reply: UdsReply | 'interrupted' }> {
    const session = readDataByIdentifier.encodeRequest(Did.activeDiagnosticSession);
    let last: { request: Uint8Array; reply: UdsReply | 'interrupted' } | undefined;
    for (const request of [TESTER_PRESENT, TESTER_PRESENT, session]) {
      const reply = await this.#ask(request);
      if (reply === 'interrupted' || isAnswer(reply) || isDown(reply)) return { request, reply };
      last ??= { request, reply };
    }
    return last ?? { request: session, reply: 'interrupted' };
  }

  async #activeSession(): Promise<number | undefined> {
    const reply = await this.#ask(readDataByIdentifier.encodeRequest(Did.activeDiagnosticSession));
    if (reply === 'interrupted' || reply.kind !== 'positive' || reply.data.length !== 4) {
      return undefined;
    }
    return byteAt(reply.data, 3);
  }

  /** Identifiers that were refused; where the default session is silent, all of them. */
  #unread(answersByDefault: boolean): readonly number[] {
    if (!answersByDefault) return IDENTIFICATION_DIDS;
    const [...found] = this.#dids.values();
    const anyRead = found.some((each) => 'data' in each);
    return found
      .filter((each) => 'answer' in each && (!anyRead || each.answer.startsWith('refused')))
      .map(({ did }) => did);
  }

  async #readDids(session: CheckedSession, dids: readonly number[]): Promise<void> {
    let silent = 0;
    for (const did of dids) {
      const reply = await this.#ask(readDataByIdentifier.encodeRequest(did));
      if (reply === 'interrupted') return;
      const data = dataOf(reply, did);
      this.#dids.set(
        did,
        data === undefined ? { did, answer: replyText(reply) } : { did, session, data },
      );
      silent = reply.kind === 'silent' || reply.kind === 'transport' ? silent + 1 : 0;
      if (isDown(reply)) return;
      if (silent < SILENT_IN_A_ROW) continue;
      const present = await this.#ask(TESTER_PRESENT);
      if (present === 'interrupted' || !isAnswer(present)) return;
      silent = 0;
    }
  }

  async #requestSeed(session: CheckedSession): Promise<CheckedSecurity | undefined> {
    const { security } = this.#options.ecu;
    const described = security.algorithm === 'none' ? undefined : security;
    const level = this.#options.level ?? described?.level ?? FIRST_LEVEL;
    const record = described?.dataRecord;
    const data = record === undefined ? new Uint8Array() : fromHex(record);
    const reply = await this.#ask(securityAccess.encodeRequest('requestSeed', level, data));
    if (reply === 'interrupted') return undefined;
    if (reply.kind !== 'positive') return { level, session, answer: replyText(reply) };
    const response = securityAccess.decodeResponse(reply.data);
    if (isMalformed(response)) {
      return { level, session, answer: `malformed answer: ${response.malformed}` };
    }
    const seedBytes = response.seed.length;
    const open = securityAccess.isUnlockedSeed(response.seed);
    const answer = open
      ? `a seed of ${seedBytes} zero bytes: the level is open`
      : `a seed of ${seedBytes} bytes: it is locked`;
    return { level, session, answer, seedBytes, open };
  }

  /** Without the signal: the session must be left after an interruption, too. */
  #leave(): Promise<UdsReply | 'interrupted'> {
    const leave = diagnosticSessionControl.encodeRequest(Session.default);
    return this.#exchange.reply(leave, undefined, {
      pendingLimitMs: PENDING_LIMIT_MS,
      patienceMs: PATIENCE_MS,
    });
  }

  #ask(request: Uint8Array): Promise<UdsReply | 'interrupted'> {
    return this.#exchange.reply(request, this.#options.signal, {
      pendingLimitMs: PENDING_LIMIT_MS,
      patienceMs: PATIENCE_MS,
    });
  }

  #unreachable(request: Uint8Array, reply: UdsReply | 'interrupted'): Unreachable {
    const failed = this.#exchange.interpret(request, 'asking whether it is present', reply);
    if (failed.ok) throw new Error('an ECU that answered is reachable');
    return { reachable: false, code: failed.code, reason: failed.reason };
  }

  #reached(
    request: Uint8Array,
    sessions: readonly CheckedSessionAnswer[],
    security: CheckedSecurity | undefined,
    activeSession: number | undefined,
  ): Reached {
    const firstAnswered = [...request]
      .map((byte) => byte.toString(16).toUpperCase().padStart(2, '0'))
      .join(' ');
    const dids = [...this.#dids.values()].sort((a, b) => a.did - b.did);
    return {
      reachable: true,
      firstAnswered,
      dids,
      sessions,
      ...defined({ security, activeSession }),
    };
  }
}

/** A refusal is an answer, too. */
function isAnswer(reply: UdsReply): boolean {
  return reply.kind === 'positive' || reply.kind === 'negative' || reply.kind === 'malformed';
}

function isDown(reply: UdsReply): boolean {
  return reply.kind === 'transport' && (reply.result === 'BUS' || reply.result === 'CLOSED');
}

function dataOf(reply: UdsReply, did: number): Uint8Array | undefined {
  if (reply.kind !== 'positive') return undefined;
  const response = readDataByIdentifier.decodeResponse(reply.data);
  if (isMalformed(response)) return undefined;
  const [record] = response.records;
  return record?.did === did ? record.data : undefined;
}

function sessionAnswer(
  session: CheckedSession,
  reply: UdsReply | 'interrupted',
): CheckedSessionAnswer {
  if (reply === 'interrupted') return { session, entered: false, answer: 'not asked: interrupted' };
  if (reply.kind !== 'positive') return { session, entered: false, answer: replyText(reply) };
  const response = diagnosticSessionControl.decodeResponse(reply.data);
  const told = isMalformed(response) ? undefined : response.timing;
  return { session, entered: true, answer: 'entered', ...defined({ told }) };
}
