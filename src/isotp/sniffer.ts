// A passive listener: assembles the messages of other nodes from the frames of a trace or a live bus.

import type { BusFrame } from '../bus/can-bus.ts';
import { getOrAdd } from '../core/present.ts';
import type { IsoTpAddress } from './address.ts';
import { defaultIsoTpConfig } from './config.ts';
import { decodePci, FlowStatus } from './pci.ts';
import { IsoTpReceiver, type ReceiverConfig } from './receiver.ts';

/** One direction of one conversation, with the name for the output. */
export interface SniffedRoute {
  readonly name: string;
  /** `tx` of this address is the identifier of the messages, from the view of their sender. */
  readonly address: IsoTpAddress;
}

export type SniffedEvent =
  | {
      readonly kind: 'message';
      readonly route: string;
      readonly message: Uint8Array;
      readonly frames: number;
      readonly startMs: number;
      readonly atMs: number;
    }
  | {
      readonly kind: 'error';
      readonly route: string;
      readonly reason: string;
      readonly atMs: number;
    }
  | {
      /** Wait or overflow; "continue to send" is not reported. */
      readonly kind: 'flow-control';
      readonly route: string;
      readonly status: 'wait' | 'overflow';
      readonly atMs: number;
    };

interface Track {
  readonly route: SniffedRoute;
  readonly receiver: IsoTpReceiver;
  readonly pciAt: number;
  frames: number;
  startMs: number;
}

/** The sniffer never answers, so blocks have no end here. Messages of up to 16 MiB are watched. */
const config: ReceiverConfig = {
  ...defaultIsoTpConfig,
  blockSize: 0,
  maxMessageLength: 0x100_0000,
};

export class IsoTpSniffer {
  readonly #tracks = new Map<string, Track[]>();
  readonly #onEvent: (event: SniffedEvent) => void;

  constructor(routes: readonly SniffedRoute[], onEvent: (event: SniffedEvent) => void) {
    this.#onEvent = onEvent;
    for (const route of routes) this.add(route);
  }

  add(route: SniffedRoute): void {
    const { tx, txAddressByte } = route.address;
    const key = trackKey(tx.id, tx.extended);
    const track: Track = {
      route,
      receiver: new IsoTpReceiver(config, undefined),
      pciAt: txAddressByte === undefined ? 0 : 1,
      frames: 0,
      startMs: 0,
    };
    getOrAdd(this.#tracks, key, () => []).push(track);
  }

  /** Whether frames of this identifier belong to a route. */
  knows(id: number, extended: boolean): boolean {
    return this.#tracks.has(trackKey(id, extended));
  }

  frame({ frame, atMs }: BusFrame): void {
    if (frame.remote) return;
    for (const track of this.#tracks.get(trackKey(frame.id, frame.extended)) ?? []) {
      const { txAddressByte } = track.route.address;
      if (txAddressByte !== undefined && frame.data[0] !== txAddressByte) continue;
      this.#track(track, frame.data, atMs);
    }
  }

  #track(track: Track, data: Uint8Array, atMs: number): void {
    const { receiver, route } = track;
    receiver.tick(atMs);
    const pci = decodePci(data, track.pciAt);
    if (pci.kind === 'flow-control') {
      if (pci.status === FlowStatus.continueToSend) return;
      const status = pci.status === FlowStatus.wait ? 'wait' : 'overflow';
      this.#onEvent({ kind: 'flow-control', route: route.name, status, atMs });
      return;
    }
    if (pci.kind === 'ignore') return;
    if (pci.kind !== 'consecutive') {
      track.frames = 0;
      track.startMs = atMs;
    }
    track.frames++;
    receiver.frame(pci, data, atMs);
    receiver.pull(atMs);
    receiver.confirmed(atMs); // the receiving node sends the flow control
    for (let event = receiver.take(); event !== undefined; event = receiver.take()) {
      if (event.kind === 'first-frame' || event.kind === 'unwanted') continue;
      const { frames, startMs } = track;
      this.#onEvent(
        event.kind === 'message'
          ? { kind: 'message', route: route.name, message: event.message, frames, startMs, atMs }
          : { kind: 'error', route: route.name, reason: event.reason, atMs },
      );
    }
  }
}

function trackKey(id: number, extended: boolean): string {
  return `${extended ? 'x' : 's'}${id}`;
}
