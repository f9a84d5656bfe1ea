// Reads data identifiers of one ECU, several in one request where the ECU can, and decodes their bytes.

import type { Reading } from '../contract/ecu-services.ts';
import { asciiText, hexNumber } from '../core/bytes.ts';
import { sleep } from '../core/clock.ts';
import { defined } from '../core/optional.ts';
import { itemAt } from '../core/present.ts';
import { isMalformed } from '../uds/codec.ts';
import { Nrc } from '../uds/nrc.ts';
import * as readDataByIdentifier from '../uds/services/read-data-by-identifier.ts';
import type { EcuDatum, VehicleEcu } from '../vehicle/schema.ts';
import { decodeSignal, signalText } from '../vehicle/signals.ts';
import type { Exchange, Exchanged, Refusal } from './exchange.ts';

/** Most DIDs in one request; an ECU with a smaller limit answers NRC 13 or 14. */
const MOST_TOGETHER = 8;
/** Number of tries of one request while the ECU does not answer properly. */
const TRIES = 2;
const RETRY_MS = 100;
/** Limits of one read: an ECU that needs longer counts as having no value. */
const LIMITS = { pendingLimitMs: 3000, patienceMs: 750 } as const;

/** The data that were read, and the last refusal where DIDs were refused. */
export interface Records {
  readonly data: ReadonlyMap<number, Uint8Array>;
  readonly refused: Refusal | undefined;
}

export class DidReader {
  readonly #exchange: Exchange;
  /**
   * Length of each DID in bytes from a read of this DID alone. The answer to several DIDs carries no lengths, and the
   * vehicle file describes only a part of a DID.
   */
  readonly #lengths = new Map<number, number>();
  #together = MOST_TOGETHER;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** Reads the data of one DID. */
  async one(did: number, signal?: AbortSignal): Promise<Exchanged<Uint8Array>> {
    const request = readDataByIdentifier.encodeRequest(did);
    const doing = `reading DID ${hexNumber(did, 4)}`;
    const answer = await this.#ask(request, doing, signal);
    this.#lengths.delete(did);
    if (!answer.ok) return answer;
    const response = readDataByIdentifier.decodeResponse(answer.value);
    if (isMalformed(response)) {
      return this.#exchange.malformed(request, doing, response.malformed);
    }
    const { data } = itemAt(response.records, 0);
    this.#lengths.set(did, data.length);
    return { ok: true, value: data };
  }

  /** Reads several DIDs. A DID that the ECU refuses is left out; a failure means that the ECU could not be asked. */
  async several(dids: readonly number[], signal?: AbortSignal): Promise<Exchanged<Records>> {
    const wanted = [...new Set(dids)];
    const data = new Map<number, Uint8Array>();
    const known = wanted.filter((did) => this.#lengths.has(did));
    for (let at = 0; at < known.length; ) {
      const some = known.slice(at, at + this.#together);
      at += some.length;
      if (some.length < 2) continue;
      const read = await this.#readTogether(some, signal);
      if (!read.ok) return read;
      for (const [did, bytes] of read.value) data.set(did, bytes);
    }
    let refused: Refusal | undefined;
    for (const did of wanted) {
      if (data.has(did)) continue;
      const read = await this.one(did, signal);
      if (read.ok) data.set(did, read.value);
      else if (read.nrc === undefined) return read;
      else refused = read;
    }
    return { ok: true, value: { data, refused } };
  }

  /** Reads the DIDs in one request. Empty when the ECU cannot answer them so; then each is read alone. */
  async #readTogether(
    dids: readonly number[],
    signal: AbortSignal | undefined,
  ): Promise<Exchanged<ReadonlyMap<number, Uint8Array>>> {
    const request = readDataByIdentifier.encodeRequest(...dids);
    const answer = await this.#ask(request, `reading ${dids.length} DIDs`, signal);
    const none = { ok: true, value: new Map<number, Uint8Array>() } as const;
    if (answer.ok) return { ok: true, value: this.#split(dids, answer.value) ?? none.value };
    if (answer.nrc === undefined) return answer;
    // 31: the ECU no longer knows one of them. 13, 14: too many, or the ECU takes only one.
    if (TOO_MANY.has(answer.nrc)) this.#together = Math.floor(dids.length / 2);
    return none;
  }

  /** Splits the answer by DID; undefined unless every DID is there, in order, with its known length. */
  #split(dids: readonly number[], bytes: Uint8Array): ReadonlyMap<number, Uint8Array> | undefined {
    let length = 1;
    for (const did of dids) length += 2 + (this.#lengths.get(did) ?? Number.NaN);
    if (bytes.length !== length) return undefined;
    const response = readDataByIdentifier.decodeResponse(bytes, (did) => this.#lengths.get(did));
    if (isMalformed(response)) return undefined;
    const { records } = response;
    if (!dids.every((did, index) => records[index]?.did === did)) return undefined;
    return new Map(records.map(({ did, data }) => [did, data]));
  }

  async #ask(
    request: Uint8Array,
    doing: string,
    signal: AbortSignal | undefined,
  ): Promise<Exchanged<Uint8Array>> {
    for (let tries = 1; ; tries++) {
      const reply = await this.#exchange.reply(request, signal, LIMITS);
      const answer = this.#exchange.interpret(request, doing, reply);
      if (answer.ok || !answer.transient || answer.code === 'INTERRUPTED' || tries >= TRIES) {
        return answer;
      }
      await sleep(this.#exchange.clock, 'read-retry', RETRY_MS, signal);
    }
  }
}

const TOO_MANY: ReadonlySet<number> = new Set([
  Nrc.incorrectMessageLengthOrInvalidFormat,
  Nrc.responseTooLong,
]);

/** Name of a DID with its ECU: `INV.FD40`. */
function didNameOf(ecu: string, did: number): string {
  return `${ecu}.${did.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** The reading of a DID, with the value of the first quantity that the vehicle file describes in it. */
export function readingOf(ecu: VehicleEcu, did: number, raw: Uint8Array): Reading {
  const reading = { did: didNameOf(ecu.name, did), raw };
  const datum = dataOf(ecu, did).find(([, each]) => isQuantity(each))?.[1];
  const decoded = datum && decodeSignal(datum, raw);
  if (decoded?.ok !== true || typeof decoded.value !== 'number') return reading;
  return {
    ...reading,
    value: decoded.value,
    ...defined({ unit: datum?.unit }),
  };
}

/** The data as text, `powerLimit 60 kW`; undefined where the vehicle file describes nothing in this DID. */
export function dataText(ecu: VehicleEcu, did: number, raw: Uint8Array): string | undefined {
  const texts = dataOf(ecu, did).flatMap(([name, datum]) => {
    if (datum.text) return [`${name} ${JSON.stringify(asciiText(raw))}`];
    const decoded = decodeSignal(datum, raw);
    return decoded.ok ? [`${name} ${signalText(datum, decoded.value)}`] : [];
  });
  return texts.length === 0 ? undefined : texts.join(', ');
}

function dataOf(ecu: VehicleEcu, did: number): [string, EcuDatum][] {
  return Object.entries(ecu.data).filter(([, datum]) => datum.did === did);
}

function isQuantity({ text, values }: EcuDatum): boolean {
  return text === undefined && values === undefined;
}
