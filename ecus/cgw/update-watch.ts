// How far the ECUs of the vehicle are programmed, as the gateway sees it on the bus, for the driver's screen.

import { type CanBus, exactFilter, type Subscription } from '../../src/bus/can-bus.ts';
import { reverseAddress, testerAddresses } from '../../src/isotp/address.ts';
import { IsoTpSniffer } from '../../src/isotp/sniffer.ts';
import { isMalformed } from '../../src/uds/codec.ts';
import { Nrc } from '../../src/uds/nrc.ts';
import * as requestDownload from '../../src/uds/services/request-download.ts';
import { NEGATIVE_RESPONSE, POSITIVE_RESPONSE_OFFSET } from '../../src/uds/sid.ts';
import type { VehicleEcu } from '../../src/vehicle/schema.ts';

export interface UpdateProgress {
  readonly ecu: string;
  /** bytes */
  readonly received: number;
  readonly total: number;
}

const Sid = { requestDownload: 0x34, transferData: 0x36, requestTransferExit: 0x37 } as const;
const positive = (sid: number): number => sid + POSITIVE_RESPONSE_OFFSET;
/** Before the data of TransferData: service identifier and block counter. */
const BLOCK_HEAD_BYTES = 2;

/** What is known of one ECU's download. Pure: it reads messages and says how far the ECU is. */
export class DownloadTrack {
  readonly #ecu: string;
  #total: number | undefined;
  #blockBytes = 0;
  #received = 0;
  #isOpen = false;
  #counter: number | undefined;

  constructor(ecu: string) {
    this.#ecu = ecu;
  }

  /** Whether the requests are of use: while blocks are on their way only the answers are. */
  get wantsRequests(): boolean {
    return !this.#isOpen;
  }

  request(message: Uint8Array): void {
    if (message[0] !== Sid.requestDownload) return;
    const decoded = requestDownload.decodeRequest(message);
    this.#total = typeof decoded === 'number' ? undefined : decoded.size;
  }

  /** Undefined: nothing new. */
  response(message: Uint8Array): UpdateProgress | undefined {
    const [sid, second, third] = message;
    if (sid === positive(Sid.requestDownload)) return this.#opened(message);
    if (!this.#isOpen || this.#total === undefined) return undefined;
    if (sid === positive(Sid.transferData)) return this.#block(second);
    const { requestCorrectlyReceivedResponsePending: pending } = Nrc;
    if (sid === NEGATIVE_RESPONSE && second === Sid.transferData && third === pending) {
      return undefined;
    }
    this.#isOpen = false;
    if (sid !== positive(Sid.requestTransferExit)) return undefined;
    this.#received = this.#total;
    return this.#progress(this.#total);
  }

  #opened(message: Uint8Array): UpdateProgress | undefined {
    const decoded = requestDownload.decodeResponse(message);
    if (this.#total === undefined || isMalformed(decoded)) return undefined;
    this.#blockBytes = Math.max(0, decoded.maxBlockLength - BLOCK_HEAD_BYTES);
    this.#received = 0;
    this.#counter = undefined;
    this.#isOpen = true;
    return this.#progress(this.#total);
  }

  /** The answer to a block that was sent twice has the counter of the one before. */
  #block(counter: number | undefined): UpdateProgress | undefined {
    if (this.#total === undefined || counter === this.#counter) return undefined;
    this.#counter = counter;
    this.#received = Math.min(this.#total, this.#received + this.#blockBytes);
    return this.#progress(this.#total);
  }

  #progress(total: number): UpdateProgress {
    return { ecu: this.#ecu, received: this.#received, total };
  }
}

/**
 * Listens to the programming of `ecus`. Of a download under way it takes the answers only, a few frames a second; the
 * blocks themselves would be all that the bus can carry.
 */
export class UpdateWatch {
  readonly #watched: readonly WatchedEcu[];

  constructor(
    bus: CanBus,
    ecus: readonly VehicleEcu[],
    onProgress: (progress: UpdateProgress) => void,
  ) {
    this.#watched = ecus.map((ecu) => new WatchedEcu(bus, ecu, onProgress));
  }

  close(): void {
    for (const ecu of this.#watched) ecu.close();
  }
}

class WatchedEcu {
  readonly #bus: CanBus;
  readonly #track: DownloadTrack;
  readonly #sniffer: IsoTpSniffer;
  readonly #requests: ReturnType<typeof exactFilter>;
  readonly #responses: Subscription;
  #requesting: Subscription | undefined;

  constructor(bus: CanBus, ecu: VehicleEcu, onProgress: (progress: UpdateProgress) => void) {
    const { physical } = testerAddresses(ecu.address);
    const track = new DownloadTrack(ecu.name);
    const routes = [
      { name: 'request', address: physical },
      { name: 'response', address: reverseAddress(physical) },
    ];
    this.#bus = bus;
    this.#track = track;
    this.#sniffer = new IsoTpSniffer(routes, (event) => {
      if (event.kind !== 'message') return;
      if (event.route === 'request') return track.request(event.message);
      const progress = track.response(event.message);
      this.#listen();
      if (progress !== undefined) onProgress(progress);
    });
    const { tx, rx } = physical;
    this.#requests = exactFilter(tx.id, tx.extended);
    this.#responses = bus.subscribe([exactFilter(rx.id, rx.extended)], (seen) =>
      this.#sniffer.frame(seen),
    );
    this.#listen();
  }

  close(): void {
    this.#responses.close();
    this.#requesting?.close();
  }

  #listen(): void {
    if (this.#track.wantsRequests) {
      this.#requesting ??= this.#bus.subscribe([this.#requests], (seen) =>
        this.#sniffer.frame(seen),
      );
    } else {
      this.#requesting?.close();
      this.#requesting = undefined;
    }
  }
}
