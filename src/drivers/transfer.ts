// Transfers an image or a small file into an ECU by TransferData and RequestTransferExit (ISO 14229-1 clause 15).

import type { ImageSource } from '../image/image-source.ts';
import { Nrc } from '../uds/nrc.ts';
import * as requestTransferExit from '../uds/services/request-transfer-exit.ts';
import * as transferData from '../uds/services/transfer-data.ts';
import { Session } from '../uds/sid.ts';
import {
  type Exchange,
  type Exchanged,
  failure,
  isNotKnown,
  type Refusal,
  refusedRepeat,
  wasLost,
} from './exchange.ts';
import { ImageReader } from './image-reader.ts';
import { BLOCK_REPEATS, SPOILED_TRIES, shorterBlock } from './repeats.ts';

export interface TransferOptions {
  readonly exchange: Exchange;
  readonly source: ImageSource;
  /** Reader at the position where the transfer starts; missing: the beginning of the source. */
  readonly reader?: ImageReader;
  /** Longest TransferData message in bytes, including service identifier and counter. */
  readonly maxBlockLength: number;
  readonly doing: string;
  readonly signal?: AbortSignal;
  readonly progress?: (sent: number) => void;
}

/** Sends the source from the reader's position by 36 and ends with 37. The value is the reader's joined CRC-32. */
export async function transfer(options: TransferOptions): Promise<Exchanged<number>> {
  const { source } = options;
  const reader = options.reader ?? new ImageReader(source);
  let blockBytes = options.maxBlockLength - transferData.HEADER_LENGTH;
  /** Bytes that were read and must still be sent. */
  let rest: Uint8Array = new Uint8Array();
  // 15.4.2.2: the first block has the number 1, 255 is followed by 0.
  let counter = 1;
  for (let at = reader.position; at < source.length; ) {
    if (rest.length === 0) {
      rest = await reader.next(blockBytes);
      if (rest.length < Math.min(blockBytes, source.length - at)) {
        return failure(
          'IMAGE_INVALID',
          `the image ends after ${at + rest.length} of ${source.length} bytes: fetch it again`,
        );
      }
    }
    const data = rest.subarray(0, blockBytes);
    const sent = await sendBlock(options, counter, data);
    if (!sent.ok) return describe(options, sent, at);
    if (sent.value === 'too-long') {
      blockBytes = shorterBlock(data.length) ?? blockBytes;
      continue;
    }
    rest = rest.subarray(data.length);
    at += data.length;
    options.progress?.(at);
    counter = transferData.nextCounter(counter);
  }
  const ended = await endTransfer(options);
  return ended.ok
    ? { ok: true, value: reader.joinedCrc32 }
    : describe(options, ended, source.length);
}

/** Sends 37. A repeated 37 that is out of sequence was carried out the first time; the memory is checked afterwards. */
async function endTransfer({ exchange, doing, signal }: TransferOptions): Promise<Exchanged<void>> {
  const exit = requestTransferExit.encodeRequest();
  let isRepeated = false;
  const look = async (): Promise<boolean> => {
    isRepeated = await exchange.isStillProgramming(signal);
    return isRepeated;
  };
  const ended = await exchange.ask(exit, `ending ${doing}`, signal, { look });
  if (ended.ok || (isRepeated && ended.nrc === Nrc.requestSequenceError)) {
    return { ok: true, value: undefined };
  }
  return ended;
}

const SENT = { ok: true, value: 'sent' } as const;

async function sendBlock(
  { exchange, doing, signal }: TransferOptions,
  counter: number,
  data: Uint8Array,
): Promise<Exchanged<'sent' | 'too-long'>> {
  const request = transferData.encodeRequest(counter, data);
  const beganMs = exchange.clock.nowMs();
  let areSpoiled = true;
  for (let tries = 1; ; tries++) {
    const answer = await exchange.askFor(request, doing, transferData.decodeResponse, signal, {
      once: true,
    });
    if (answer.ok) {
      if (answer.value.counter === counter) return SENT;
      return exchange.malformed(
        request,
        doing,
        `block counter ${answer.value.counter}, expected ${counter}`,
      );
    }
    // The message or its answer was lost, or another tester disturbed it: send the same block with the same counter.
    if (!wasLost(answer)) {
      if (tries === 1 || answer.nrc === undefined) return answer;
      // The ECU expects the next counter: it has taken this block, and its answer was lost.
      if (answer.nrc === Nrc.wrongBlockSequenceCounter) return SENT;
      return refusedRepeat(answer);
    }
    const told =
      tries === 1 ? answer : { ...answer, reason: `${answer.reason} (sent ${tries} times)` };
    // Shorten only when no try can have arrived, because the shorter block has the same counter with other bytes.
    areSpoiled &&= answer.spoiled === true;
    if (areSpoiled && tries >= SPOILED_TRIES && shorterBlock(data.length) !== undefined) {
      return { ok: true, value: 'too-long' };
    }
    if (tries >= BLOCK_REPEATS.aliveTries) return told;
    if (exchange.clock.nowMs() - beganMs >= BLOCK_REPEATS.limitMs) return told;
    if (tries >= BLOCK_REPEATS.tries && !(await exchange.isStillProgramming(signal))) return told;
  }
}

/** Distinguishes a restart of the ECU from other refusals, and says how far the transfer had come. */
async function describe(options: TransferOptions, failed: Refusal, at: number): Promise<Refusal> {
  const { exchange, source, doing } = options;
  const where = `after ${at} of ${source.length} bytes`;
  const lostSession =
    isNotKnown(failed) ||
    failed.nrc === Nrc.requestSequenceError ||
    failed.nrc === Nrc.securityAccessDenied;
  if (lostSession && (await exchange.activeSession()) === Session.default) {
    return failure(
      'RESET',
      `${exchange.peer} fell back to its default session ${where} of ${doing}: it restarted, or its session timed out`,
      true,
    );
  }
  return { ...failed, reason: `${failed.reason} (${where})` };
}
