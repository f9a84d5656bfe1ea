// The daemon with real drivers, a real CGW and real bootloaders, on virtual time: what the fakes cannot show.

import { describe, expect, it } from 'vitest';
import type { EcuFaults } from '../../ecus/bootloader/faults.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { CgwApprover } from '../../src/drivers/cgw-approver.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { Tmu } from '../../src/tmu/tmu.ts';
import type { CycleResult } from '../../src/tmu/tmu-event.ts';
import type { EcuTrustState } from '../../src/trust/bundle.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { benchAuthority, EcuLink } from '../drivers/ecu-link.ts';
import { APPROVAL_KEY, benchVehicle, bundleOf } from '../support/ecu-bench.ts';
import { FaultStorage } from '../support/fault-storage.ts';
import { bytesOf, FakeBackend, FakeTrusted, sha256 } from './support.ts';

const images = { CGW: bytesOf(4500, 1), EDT: bytesOf(20_000, 2), ONE: bytesOf(9000, 3) };
type Name = keyof typeof images;

/** The Director of the bench: assigns every release to its ECU, and signs for whatever that ECU trusts. */
class BenchTrusted extends FakeTrusted {
  readonly #backend: FakeBackend;
  readonly #clock: VirtualClock;

  constructor(backend: FakeBackend, clock: VirtualClock) {
    super(backend);
    this.#backend = backend;
    this.#clock = clock;
  }

  override async bundle(
    ecu: string,
    state: EcuTrustState,
  ): Promise<{ ok: true; value: Uint8Array }> {
    const {
      version,
      size,
      sha256: digest,
    } = this.#backend.releases.find((each) => each.ecu === ecu)!;
    const counter = Number(version.split('.')[0]);
    const release = { name: ecu, version, length: size, sha256: digest, counter };
    return { ok: true, value: bundleOf(release, state, this.#clock.wallMs()) };
  }
}

class Bench {
  readonly clock = new VirtualClock();
  readonly backend = new FakeBackend(this.clock);
  readonly trusted = new BenchTrusted(this.backend, this.clock);
  readonly links = new Map<string, EcuLink>();
  readonly storage = new FaultStorage();

  static async start(
    faults: Partial<Record<Name, EcuFaults>> = {},
    approve: 'yes' | 'no' = 'yes',
  ): Promise<Bench> {
    const bench = new Bench();
    for (const name of ['CGW', 'EDT', 'ONE'] as const) {
      const link = await EcuLink.start(benchVehicle, name, bench.clock, {
        ...(faults[name] === undefined ? {} : { faults: faults[name] }),
        ...(name === 'CGW' ? { approve } : {}),
      });
      bench.links.set(name, link);
      bench.backend.release(name, '2.0.0', images[name]);
    }
    return bench;
  }

  async once(signal = new AbortController().signal): Promise<CycleResult> {
    const tmu = new Tmu({
      backend: this.backend,
      trusted: async () => this.trusted,
      driverFor: (name) =>
        new UdsEcuDriver({
          ecu: findEcu(benchVehicle, name),
          requester: this.links.get(name)!.client,
          clock: this.clock,
          authority: benchAuthority(name),
        }),
      approver: new CgwApprover({
        ecu: findEcu(benchVehicle, 'CGW'),
        key: APPROVAL_KEY,
        requester: this.links.get('CGW')!.client,
        clock: this.clock,
      }),
      storage: this.storage,
      vehicle: benchVehicle,
      clock: this.clock,
      random: seededRandom(this.clock.nowMs() + 1),
      logger: silentLogger,
      lock: async () => ({ release: async () => {} }),
    });
    const result = await this.clock.within(3_600_000, tmu.runOnce(signal));
    await tmu.close();
    return result;
  }

  requests(name: Name, prefix: string): string[] {
    return this.links.get(name)!.requests.filter((request) => request.startsWith(prefix));
  }
}

describe('a whole vehicle', () => {
  it('is updated, the CGW that asks included, one bank and two', async () => {
    const bench = await Bench.start();
    const result = await bench.once();
    expect(result.outcome).toBe('SUCCESS');
    for (const ecu of result.ecus) {
      const image = images[ecu.name as Name];
      expect(ecu).toMatchObject({
        from: '1.0.0',
        reported: '2.0.0',
        sha256: sha256(image),
        bytes: image.length,
      });
      expect(ecu.seconds).toBeGreaterThan(0);
    }
    // Long after the trials would have ended.
    await bench.clock.advance(3_600_000);
    expect((await bench.once()).outcome).toBe('UP_TO_DATE');
  });

  it('without approval sees no erase', async () => {
    const bench = await Bench.start({}, 'no');
    expect((await bench.once()).outcome).toBe('USER_REJECTED');
    for (const name of ['CGW', 'EDT', 'ONE'] as const) {
      for (const prefix of ['1002', '3101FF00', '34', '36']) {
        expect(bench.requests(name, prefix)).toEqual([]);
      }
    }
  });

  it('goes back as a whole when one fails its self test', async () => {
    const bench = await Bench.start({ EDT: { failSelfTest: true } });
    const result = await bench.once();
    // The single-bank ECU was written already, and the TMU has no copy of its factory image: a declared mixed state.
    expect(result.outcome).toBe('ROLLBACK_FAILED');
    expect(result.reason).toContain('ONE may run 2.0.0');
    expect(result.reason).toContain('EDT runs 1.0.0 (old)');
    expect(result.reason).toContain('CGW runs 1.0.0 (old)');
  });

  it('goes back to the kept image of a single-bank ECU', async () => {
    const bench = await Bench.start();
    expect((await bench.once()).outcome).toBe('SUCCESS');
    const edt = bench.links.get('EDT')!;
    const again = await EcuLink.start(benchVehicle, 'EDT', bench.clock, {
      storage: edt.storage,
      faults: { refuseNewImage: true },
    });
    await edt.ecu!.close();
    bench.links.set('EDT', again);
    for (const name of ['CGW', 'EDT', 'ONE'] as const) {
      bench.backend.release(name, '3.0.0', bytesOf(3000, name.charCodeAt(0)));
    }
    const result = await bench.once();
    expect(result).toMatchObject({ outcome: 'ROLLBACK_COMPLETED', code: 'SELF_TEST' });
    // The activation writes ONE, and its turn has not come: it gets no request.
    expect(result.ecus.map(({ name, reported }) => `${name} ${reported}`)).toEqual([
      'CGW 2.0.0',
      'EDT 2.0.0',
      'ONE null',
    ]);
    expect(result.ecus.map(({ unchanged }) => unchanged)).toEqual([false, false, true]);
    expect(result.ecus.slice(0, 2).map(({ sha256: digest }) => digest)).toEqual(
      ['CGW', 'EDT'].map((name) => sha256(images[name as Name])),
    );
    const one = bench.links.get('ONE')!;
    expect(sha256(Uint8Array.from(one.storage.contents('bank-a.bin')!))).toBe(sha256(images.ONE));
  });

  it('whose ECU loses its supply goes back, and takes the next release', async () => {
    const bench = await Bench.start({ EDT: { losePowerAfter: 9000 } });
    const edt = bench.links.get('EDT')!;
    void edt.ecu!.stopped.then(async () => {
      // Power comes back after a second, in the middle of the retries.
      bench.clock.after('power', 1000, () => {
        void EcuLink.start(benchVehicle, 'EDT', bench.clock, {
          storage: edt.storage.afterPowerCut(),
        }).then((link) => bench.links.set('EDT', link));
      });
    });
    const result = await bench.once();
    expect(result.outcome).toBe('SUCCESS');
  });

  it('is finished by the next start, wherever the first was stopped', async () => {
    const probe = await Bench.start();
    const beginMs = probe.clock.nowMs();
    await probe.once();
    const totalMs = probe.clock.nowMs() - beginMs;
    for (let part = 1; part < 16; part++) {
      const bench = await Bench.start();
      const abort = new AbortController();
      const atMs = bench.clock.nowMs() + (totalMs * part) / 16;
      bench.clock.after('SIGTERM', (totalMs * part) / 16, () => abort.abort());
      await bench.once(abort.signal);
      expect(bench.clock.nowMs() - atMs).toBeLessThan(2000);
      const { outcome, reason } = await bench.once();
      expect(['SUCCESS', 'UP_TO_DATE'], `part ${part}: ${reason}`).toContain(outcome);
      expect((await bench.once()).outcome).toBe('UP_TO_DATE');
    }
  });
});
