// A device with a sealed client, its backend, and somebody in the middle: the disk survives, the client does not.

import { rotate } from '../../src/contract/endpoints/registry/rotate.ts';
import { toHex } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { HttpClient } from '../../src/link/http-client.ts';
import {
  SealedClient,
  type SealedClientOptions,
  type SealedRefusal,
} from '../../src/link/sealed-client.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { SEALED_TYPE } from '../../src/trust/sealed-session.ts';
import { InjectedBackend } from '../server/injected-support.ts';
import type { TestEcu } from '../server/trust-support.ts';
import { InjectedTransport, type PassedRequest } from './injected-transport.ts';

/** A sealed path that every device may ask. */
export const PATH = rotate.path;

/** A device of a backend: its disk survives, its client does not. */
export class SealedWorld {
  readonly backend: InjectedBackend;
  readonly device: TestEcu;
  readonly transport: InjectedTransport;
  readonly disk = new SimulatedDisk();
  readonly refusals: SealedRefusal[] = [];
  #lives = 0;

  private constructor(backend: InjectedBackend, device: TestEcu) {
    this.backend = backend;
    this.device = device;
    this.transport = new InjectedTransport(() => backend.server.app);
  }

  static async start(): Promise<SealedWorld> {
    const backend = await InjectedBackend.start();
    const { primary } = await backend.vehicle();
    return new SealedWorld(backend, primary);
  }

  async client(options: Partial<SealedClientOptions> = {}): Promise<SealedClient> {
    const { clock } = this.backend;
    const { serial, hwId, secret } = this.device;
    return SealedClient.open({
      client: new HttpClient({ clock, headers: {}, transport: this.transport }),
      base: new URL('http://backend/'),
      device: { serial, hwId, deviceSecret: secret },
      // Another life of the disk ends the one before.
      storage: options.storage ?? this.disk.open(),
      clock,
      random: seededRandom(`life ${++this.#lives}`),
      logger: silentLogger,
      onRefused: (refusal) => this.refusals.push(refusal),
      ...options,
    });
  }

  /** A sealed request that the server has something to answer to, whichever client sends it. */
  ask(client: SealedClient) {
    return client.json(rotate, { clientKey: toHex(this.device.encryption.publicKey) });
  }

  /** Requests that were sealed, in the order of their coming. */
  get sealed(): readonly PassedRequest[] {
    return this.transport.passed
      .map(({ request }) => request)
      .filter(({ headers }) => headers['content-type'] === SEALED_TYPE);
  }

  audit(action: string): number {
    const rows = this.backend.database
      .prepare('select count as n from audit where action = ?')
      .all(action) as unknown as { n: number }[];
    return rows.reduce((sum, { n }) => sum + n, 0);
  }
}
