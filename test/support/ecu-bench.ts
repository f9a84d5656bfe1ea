// One ECU of ours without a bus: requests and answers as hexadecimal text, on virtual time.

import { createHash } from 'node:crypto';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { Connect, Ecu } from '../../ecus/bootloader/bootloader.ts';
import type { EcuEvent } from '../../ecus/bootloader/device.ts';
import type { EcuFaults } from '../../ecus/bootloader/faults.ts';
import { type CreateEcuOptions, createEcu } from '../../ecus/create-ecu.ts';
import { bytesToUint, concatBytes, fromHex, toHex, uintToBytes } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import type { ConnectionListener, IsoTpConnection } from '../../src/isotp/connection.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { commitmentOf } from '../../src/trust/authority.ts';
import { benchBundle } from '../../src/trust/bench-keys.ts';
import type { EcuTrustState } from '../../src/trust/bundle.ts';
import type { EncryptedImage } from '../../src/trust/director.ts';
import {
  type CampaignRecord,
  decodeCampaignRecord,
  encodeActivateOption,
  encodeEvidenceOption,
  encodeRollbackOption,
} from '../../src/uds/campaign-record.ts';
import { type Vehicle, vehicleSchema } from '../../src/vehicle/schema.ts';
import { FaultStorage } from './fault-storage.ts';
import { benchTesterKey, openAnswer, type Sealing, sealRequest } from './secured-message.ts';

export const SECRET = '000102030405060708090a0b0c0d0e0f';
export const APPROVAL_KEY = 'f0'.repeat(32);
export const BANK_SIZE = 64 * 1024;
export const BANK_ADDRESS = 0x0800_0000;

export const benchVehicle: Vehicle = vehicleSchema.parse({
  vin: 'WVWZZZ1JZXW000001',
  buses: { can: {} },
  approval: { ecu: 'CGW', key: APPROVAL_KEY },
  ecus: [
    {
      name: 'CGW',
      hardwareId: 'CGW-HW1',
      address: { mode: 'normal', request: 0x7e0, response: 0x7e8, functional: 0x7df },
      memory: { bankSize: BANK_SIZE },
    },
    {
      name: 'EDT',
      hardwareId: 'EDT-HW1',
      address: { mode: 'normal', request: 0x7e1, response: 0x7e9, functional: 0x7df },
      memory: { bankSize: BANK_SIZE },
      security: { algorithm: 'hmac-sha256', secret: SECRET },
    },
    {
      name: 'ONE',
      hardwareId: 'ONE-HW1',
      address: { mode: 'normal', request: 0x7e2, response: 0x7ea },
      memory: { bankSize: BANK_SIZE, banks: 1 },
      security: { algorithm: 'xor', constant: 'a55a' },
      programming: { activation: 'reset' },
    },
  ],
});

export interface EcuBenchOptions {
  readonly name?: string;
  readonly storage?: FaultStorage;
  readonly faults?: EcuFaults;
  readonly options?: Partial<CreateEcuOptions>;
  /** By which this bench gives orders; missing: that of the bench's TMU to the ECU of this name. */
  readonly testerKey?: Uint8Array;
}

/** The campaign of every order that names no other one. */
export const CAMPAIGN = 'ca'.repeat(16);

/** Routines that decide what runs, and what their options hold. */
export type Order = 'activate' | 'confirm' | 'commit' | 'rollback' | 'rollback-confirmed';

/** What is different from the right order. */
export interface OrderChange {
  readonly campaign?: string;
  /** `activate`: missing: that of the image that waits, or runs where none waits. */
  readonly sha256?: string;
  /** `confirm`: commitments; `commit`: receipts; missing: those of this ECU alone. */
  readonly evidence?: readonly string[];
}

interface End {
  readonly functional: boolean;
  listener: ConnectionListener | undefined;
  open: boolean;
}

/** The tester's place in front of one ECU. */
export class EcuBench {
  readonly clock: VirtualClock;
  readonly storage: FaultStorage;
  readonly events: EcuEvent[] = [];
  /** Everything the ECU sent, as hexadecimal text. */
  readonly sent: string[] = [];
  readonly connect: Connect;
  ecu!: Ecu;
  /** By which this bench gives orders. */
  testerKey = benchTesterKey('EDT');
  #ends: End[] = [];
  #onAnswer: ((hex: string) => void) | undefined;

  private constructor(clock: VirtualClock, storage: FaultStorage) {
    this.clock = clock;
    this.storage = storage;
    this.connect = (_address, { functional }) => this.#end(functional);
  }

  /** Boots an ECU on a new disk, or on the given one. */
  static async start(given: EcuBenchOptions = {}): Promise<EcuBench> {
    const bench = EcuBench.idle(given.storage);
    bench.testerKey = given.testerKey ?? benchTesterKey(given.name ?? 'EDT');
    const boot = createEcu({
      name: given.name ?? 'EDT',
      vehicle: benchVehicle,
      storage: bench.storage,
      clock: bench.clock,
      random: seededRandom(),
      logger: silentLogger,
      connect: bench.connect,
      onEvent: (event) => bench.events.push(event),
      benchKeys: true,
      ...(given.faults && { faults: given.faults }),
      ...given.options,
    });
    bench.ecu = await bench.clock.within(60_000, boot);
    return bench;
  }

  /** The bench without an ECU yet. */
  static idle(storage = new FaultStorage()): EcuBench {
    return new EcuBench(new VirtualClock(), storage);
  }

  /** The final answer in upper case, or `silent` when none comes within `limitMs` of virtual time. */
  async ask(request: string | Uint8Array, how: { functional?: boolean; limitMs?: number } = {}) {
    const message = typeof request === 'string' ? fromHex(request) : request;
    const answer = new Promise<string>((resolve) => {
      this.#onAnswer = resolve;
    });
    const end = this.#ends.findLast(
      (candidate) => candidate.open && candidate.functional === (how.functional ?? false),
    );
    end?.listener?.onMessage(Uint8Array.from(message), this.clock.nowMs());
    let waiting = true;
    const limit = this.clock.after('bench', how.limitMs ?? 2000, () => {
      if (waiting) this.#onAnswer?.('silent');
    });
    const result = await this.clock.within((how.limitMs ?? 2000) + 1, answer);
    waiting = false;
    limit.cancel();
    this.#onAnswer = undefined;
    await this.clock.advance(0); // what follows the answer, for instance a reset
    return result;
  }

  /** Throws when the answer is not positive. */
  async expect(request: string | Uint8Array): Promise<string> {
    const answer = await this.ask(request);
    if (answer === 'silent' || answer.startsWith('7F')) {
      const sent = typeof request === 'string' ? request : toHex(request.subarray(0, 16));
      throw new Error(`${sent} was answered with ${answer}`);
    }
    return answer;
  }

  /** The challenge and the counter of the ECU, for one message of service 84. */
  async challenge(): Promise<{ readonly challenge: Uint8Array; readonly counter: number }> {
    const data = fromHex((await this.expect('22FD24')).slice(6));
    return { challenge: data.slice(0, 16), counter: bytesToUint(data.subarray(16, 18)) };
  }

  /** Service 84 around the request, as the bench's TMU sends it now. */
  async seal(inner: string | Uint8Array, change: Partial<Sealing> = {}): Promise<Uint8Array> {
    const { challenge, counter } = await this.challenge();
    const right = { role: 'tester', key: this.testerKey, challenge, counter: counter + 1 } as const;
    return sealRequest(inner, { ...right, ...change });
  }

  /**
   * The answer of the inner service in upper case, its MAC checked; or what the ECU said without one. Throws when the MAC
   * is wrong.
   */
  async secured(inner: string | Uint8Array, change: Partial<Sealing> = {}): Promise<string> {
    const { challenge, counter } = await this.challenge();
    const right = { role: 'tester', key: this.testerKey, challenge, counter: counter + 1 } as const;
    const sealing = { ...right, ...change };
    const request = sealRequest(inner, sealing);
    const answer = await this.ask(request);
    return answer.startsWith('C4') ? openAnswer(answer, request, sealing) : answer;
  }

  /** Throws when the answer is not positive, and authentic. */
  async expectSecured(inner: string | Uint8Array): Promise<string> {
    const answer = await this.secured(inner);
    if (answer === 'silent' || answer.startsWith('7F')) {
      const sent = typeof inner === 'string' ? inner : toHex(inner.subarray(0, 16));
      throw new Error(`84 around ${sent} was answered with ${answer}`);
    }
    return answer;
  }

  /** 2E FD23: the Director has the version report of this counter. */
  reportReceived(counter: number): Promise<string> {
    return this.secured(concatBytes(fromHex('2EFD23'), uintToBytes(counter, 8)));
  }

  /** DID FD25, what the ECU knows of its campaign. */
  async campaignRecord(): Promise<CampaignRecord> {
    const record = decodeCampaignRecord(fromHex((await this.expect('22FD25')).slice(6)));
    if (record === undefined) throw new Error('FD25 holds no campaign record');
    return record;
  }

  /** The plain request 31 01 of an order, for `seal`, `secured`, or to be sent as it is. */
  async orderOf(order: Order, change: OrderChange = {}): Promise<Uint8Array> {
    const { campaign = CAMPAIGN } = change;
    const id = fromHex(campaign);
    switch (order) {
      case 'activate': {
        const waiting = await this.ask('22FD02');
        const digest = waiting.startsWith('62') ? waiting : await this.ask('22FD01');
        const sha256 = change.sha256 ?? (digest.startsWith('62') ? digest.slice(6) : '');
        const named = sha256 === '' ? new Uint8Array(32) : fromHex(sha256);
        return concatBytes(
          fromHex('31010210'),
          encodeActivateOption({ campaign: id, sha256: named }),
        );
      }
      case 'confirm': {
        const own = toHex((await this.campaignRecord()).commitment);
        const evidence = (change.evidence ?? [own]).map(fromHex);
        return concatBytes(fromHex('31010211'), encodeEvidenceOption({ campaign: id, evidence }));
      }
      case 'commit': {
        const evidence = (change.evidence ?? [await this.#receipt(campaign)]).map(fromHex);
        return concatBytes(fromHex('31010213'), encodeEvidenceOption({ campaign: id, evidence }));
      }
      default: {
        const option = { campaign: id, evenConfirmed: order === 'rollback-confirmed' };
        return concatBytes(fromHex('31010212'), encodeRollbackOption(option));
      }
    }
  }

  /**
   * What a campaign of this one ECU orders, as the bench's TMU does; the status of the answer (`7101021100`) without the
   * receipt behind it, which is compared with its commitment.
   */
  async order(order: Order, change: OrderChange = {}): Promise<string> {
    const answer = await this.secured(await this.orderOf(order, change));
    if (order !== 'confirm' || !answer.startsWith('71')) return answer;
    const { campaign, commitment } = await this.campaignRecord();
    const receipt = fromHex(answer.slice(10));
    if (toHex(commitmentOf(campaign, receipt)) !== toHex(commitment)) {
      throw new Error(`the receipt ${answer.slice(10)} is not what the ECU was committed to`);
    }
    return answer.slice(0, 10);
  }

  /** Throws when the answer is not positive. */
  async expectOrder(order: Order, change: OrderChange = {}): Promise<string> {
    const answer = await this.order(order, change);
    if (!answer.startsWith('71')) throw new Error(`${order} was answered with ${answer}`);
    return answer;
  }

  /** The ECU gives it again to whoever may confirm; zeros from one that has confirmed nothing. */
  async #receipt(campaign: string): Promise<string> {
    const none = '00'.repeat(16);
    if ((await this.campaignRecord()).state !== 'confirmed') return none;
    const answer = await this.secured(await this.orderOf('confirm', { campaign }));
    return answer.startsWith('71') ? answer.slice(10) : none;
  }

  /** 27 with the right key. */
  async unlock(secret = SECRET): Promise<void> {
    const seed = fromHex((await this.expect('2701')).slice(4));
    await this.expect(concatBytes(Uint8Array.of(0x27, 0x02), hmacKey(seed, secret)));
  }

  /** Programming session, unlocked where there is a key. */
  async prepare(name = 'EDT'): Promise<void> {
    await this.expect('1002');
    if (name === 'EDT') await this.unlock();
    if (name === 'ONE') {
      const seed = fromHex((await this.expect('2701')).slice(4));
      const key = seed.map((byte, index) => byte ^ [0xa5, 0x5a][index % 2]!);
      await this.expect(concatBytes(Uint8Array.of(0x27, 0x02), key));
    }
  }

  /** 38, 36..., 37 for a file; the answer to 37. */
  async sendFile(name: string, bytes: Uint8Array): Promise<string> {
    await this.expect(fileRequest(name, bytes.length));
    await this.sendBlocks(bytes);
    return this.ask('37');
  }

  /** DID FD20: what the ECU trusts; with `nonce` a fresh one of FD21. */
  async trustState(how: { nonce?: boolean } = {}): Promise<EcuTrustState> {
    const text = await this.text('FD20');
    const state = JSON.parse(text) as EcuTrustState;
    if (how.nonce !== true) return state;
    return { ...state, nonce: (await this.expect('22FD21')).slice(6).toLowerCase() };
  }

  /** A bundle that the bench signs for this ECU, with its nonce and a time that is newer than the last one. */
  async bundle(release: Release | undefined, changes: BundleChanges = {}): Promise<Uint8Array> {
    return bundleOf(release, await this.trustState({ nonce: true }), this.clock.wallMs(), changes);
  }

  /** Signed metadata as the bench makes it, or any other bytes. */
  async sendMetadata(metadata: Release | Uint8Array, expectAccepted = true): Promise<string> {
    const bytes = metadata instanceof Uint8Array ? metadata : await this.bundle(metadata);
    const answer = await this.sendFile('metadata.json', bytes);
    if (expectAccepted && answer !== '77') {
      throw new Error(
        `metadata was answered with ${answer}: ${JSON.stringify(this.events.at(-1))}`,
      );
    }
    return answer;
  }

  /** Erase, 34, 36..., 37; leaves the check to the caller. */
  async transfer(image: Uint8Array, blockBytes = 4093): Promise<void> {
    await this.expect('3101FF00');
    await this.expect(downloadRequest(image.length));
    await this.sendBlocks(image, blockBytes);
    await this.expect('37');
  }

  async sendBlocks(image: Uint8Array, blockBytes = 4093): Promise<void> {
    for (let at = 0, counter = 1; at < image.length; at += blockBytes, counter++) {
      const block = image.subarray(at, at + blockBytes);
      await this.expect(concatBytes(Uint8Array.of(0x36, counter & 0xff), block));
    }
  }

  /** A whole programming sequence up to a valid bank. */
  async program(image: Uint8Array, version: string, name = 'EDT', counter = 0): Promise<void> {
    await this.prepare(name);
    await this.sendMetadata({ ...releaseOf(image, version, name), counter });
    await this.transfer(image);
    const check = await this.expect(checkRequest(image));
    if (check !== '7101020200') throw new Error(`check memory answered ${check}`);
  }

  /** 11 01, and the time until the ECU answers again. On trial an ECU takes one after a pause only. */
  async reset(): Promise<void> {
    const answer = await this.ask('1101');
    if (answer === '7F1122') await this.clock.advance(10_000);
    if (answer !== '5101') await this.expect('1101');
    await this.clock.advance(5000);
  }

  /** A crash: nobody asked for this reset, and it counts as a boot. */
  async crash(): Promise<void> {
    this.ecu.reset('fault');
    await this.clock.advance(5000);
  }

  /** ASCII value of a data identifier. */
  async text(did: string): Promise<string> {
    const answer = await this.expect(`22${did}`);
    return Buffer.from(answer.slice(6), 'hex').toString('latin1');
  }

  #end(functional: boolean): IsoTpConnection {
    const end: End = { functional, listener: undefined, open: true };
    this.#ends.push(end);
    return {
      listen: (listener) => {
        end.listener = listener;
      },
      send: (message, done) => {
        if (!end.open) {
          done?.({ result: 'CLOSED', atMs: this.clock.nowMs(), reason: 'closed' });
          return;
        }
        const hex = toHex(message).toUpperCase();
        this.sent.push(hex);
        done?.({ result: 'N_OK', atMs: this.clock.nowMs(), reason: 'sent' });
        if (!/^7F..78$/.test(hex)) this.#onAnswer?.(hex);
      },
      close: () => {
        end.open = false;
      },
    };
  }
}

export function hmacKey(seed: Uint8Array, secret = SECRET): Uint8Array {
  return hmac(sha256, fromHex(secret), seed).subarray(0, 16);
}

export function digestOf(image: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(image).digest());
}

/** What the bench signs about an image for the ECU `name`. */
export interface Release {
  readonly name: string;
  readonly version: string;
  readonly length: number;
  readonly sha256: string;
  readonly counter: number;
  readonly encryption?: EncryptedImage;
}

type BundleOptions = Parameters<typeof benchBundle>[0];

/** What is different from the right bundle. */
export interface BundleChanges {
  readonly ecu?: Partial<BundleOptions['ecus'][number]>;
  readonly bundle?: Partial<BundleOptions>;
}

/** What a backend and a TMU would bring an ECU that is in this state; without a release there is no image for it. */
export function bundleOf(
  release: Release | undefined,
  state: EcuTrustState,
  wallMs: number,
  { ecu, bundle }: BundleChanges = {},
): Uint8Array {
  const lastMs = state.time === null ? 0 : Date.parse(state.time);
  const ecus =
    release === undefined
      ? []
      : [
          {
            serial: `BENCH-${release.name}`,
            hardwareId: `${release.name}-HW1`,
            image: { ...release, name: fileName(release) },
            ...ecu,
          },
        ];
  return benchBundle({
    vin: benchVehicle.vin,
    ecus,
    nonce: state.nonce!,
    timeMs: Math.max(wallMs, lastMs + 1000),
    state,
    ...bundle,
  });
}

/** Counter 0, that of the factory image: the way back stays open unless a test says otherwise. */
export function releaseOf(image: Uint8Array, version: string, name = 'EDT'): Release {
  return { name, version, length: image.length, sha256: toHex(digestOf(image)), counter: 0 };
}

export function fileName({ name, version, sha256 }: Release): string {
  return `${name}-${version}-${sha256.slice(0, 12)}.bin`;
}

export function checkRequest(image: Uint8Array): Uint8Array {
  return concatBytes(fromHex('31010202'), digestOf(image));
}

export function downloadRequest(size: number, address = BANK_ADDRESS, format = 0): Uint8Array {
  const head = Uint8Array.of(0x34, format, 0x44);
  return concatBytes(head, uintToBytes(address, 4), uintToBytes(size, 4));
}

export function fileRequest(path: string, size: number): Uint8Array {
  const name = new TextEncoder().encode(path);
  const sizes = concatBytes(uintToBytes(size, 4), uintToBytes(size, 4));
  return concatBytes(fromHex('3801'), uintToBytes(name.length, 2), name, fromHex('0004'), sizes);
}

export function imageOf(length: number, seed = 7): Uint8Array {
  return seededRandom(seed).bytes(length);
}
