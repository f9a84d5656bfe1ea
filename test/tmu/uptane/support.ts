// A vehicle of two ECUs and a TMU between mock repositories and a network with faults.

import type {
  Checkin,
  DriverResult,
  EcuDriver,
  MetadataBody,
} from '../../../src/campaign/ports.ts';
import type { CheckinTelemetry } from '../../../src/contract/checkin-telemetry.ts';
import type { BackendFailure } from '../../../src/core/backend-failure.ts';
import { DownloadCut } from '../../../src/core/backend-failure.ts';
import { silentLogger } from '../../../src/core/logger.ts';
import { seededRandom } from '../../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../../src/sim/virtual-clock.ts';
import type { TmuEvent } from '../../../src/tmu/tmu-event.ts';
import type { InstalledImage } from '../../../src/tmu/trusted-source.ts';
import { type UptaneOptions, UptaneSource } from '../../../src/tmu/uptane/uptane-source.ts';
import type { AttackCode } from '../../../src/trust/attack.ts';
import type { RepositoryName } from '../../../src/trust/full-verification.ts';
import {
  checkManifest,
  signVersionReport,
  type VersionReport,
} from '../../../src/trust/manifest.ts';
import {
  ed25519PublicKey,
  type LocalSigner,
  signerFromSeed,
} from '../../../src/trust/signing-key.ts';
import { signTime } from '../../../src/trust/time-attestation.ts';
import { type Vehicle, vehicleSchema } from '../../../src/vehicle/schema.ts';
import { FaultStorage } from '../../support/fault-storage.ts';
import {
  MOCK_NOW_MS,
  type MockRepositories,
  mockRepositories,
} from '../../support/mock-repositories.ts';
import { FakeBackend } from '../support.ts';

export const SERIALS = { EDT: 'CO-000002', OTHER: 'CO-000003' } as const;
export const VIN = '1CANXTABENCH00001';
export const TMU_SERIAL = 'CO-000001';

export const vehicle: Vehicle = vehicleSchema.parse({
  vin: VIN,
  buses: { main: {} },
  ecus: [
    { name: 'EDT', request: 0x7e1, response: 0x7e9, programming: 'can-ota' },
    // An ECU of another make: it signs nothing and verifies nothing.
    { name: 'OTHER', request: 0x7e2, response: 0x7ea, programming: 'standard' },
  ].map(({ name, request, response, programming }) => ({
    name,
    hardwareId: `${name}-HW-1`,
    address: { mode: 'normal', request, response },
    programming,
  })),
});

const signerOf = (seed: number): LocalSigner => signerFromSeed(new Uint8Array(32).fill(seed));
const tmuSigner = signerOf(1);
const edtSigner = signerOf(2);

/** Network fault of one file. */
export type Fault = BackendFailure | 'cut' | 'drip' | 'stall' | 'endless' | 'short';

export class UptaneWorld {
  readonly clock = new VirtualClock(MOCK_NOW_MS);
  readonly mock: MockRepositories = mockRepositories({ vin: VIN });
  readonly backend: UptaneBackend;
  readonly events: TmuEvent[] = [];
  readonly running = new Map<string, InstalledImage>();
  storage = new FaultStorage();
  /** EDT's answer to DID FD22 in place of a correct report. */
  edtReport: (() => DriverResult<Uint8Array | undefined>) | undefined;
  edtAttack: AttackCode | '' = '';
  edtReports = 0;
  /** Telemetry of the TMU at the check-in. */
  telemetry: CheckinTelemetry | undefined;
  /** Acknowledged reports by ECU. */
  readonly received: string[] = [];
  #processes = 0;

  constructor() {
    this.backend = new UptaneBackend(this.clock, this.mock);
  }

  /** Starts a new process of the TMU on the same disk. */
  open(options: Partial<UptaneOptions> = {}): Promise<UptaneSource> {
    const { director, images } = this.mock;
    return UptaneSource.open(
      {
        backend: this.backend,
        driverFor: (name) => this.#driver(name),
        runs: (ecu) => this.running.get(ecu),
        vehicle,
        storage: this.storage,
        clock: this.clock,
        random: seededRandom(++this.#processes),
        logger: silentLogger,
        emit: (event) => this.events.push(event),
        telemetry: async () => this.telemetry,
      },
      {
        identity: {
          serial: TMU_SERIAL,
          ecus: {
            EDT: { serial: SERIALS.EDT, hardwareId: 'EDT-HW-1' },
            OTHER: { serial: SERIALS.OTHER, hardwareId: 'OTHER-HW-1' },
          },
        },
        signer: tmuSigner,
        software: {
          name: 'can-ota',
          version: '1.0.0',
          length: 1,
          hashes: { sha256: 'a'.repeat(64) },
        },
        anchors: { director: director.anchor, images: images.anchor },
        ...options,
      },
    );
  }

  #driver(name: string): EcuDriver {
    const versionReport = async (): Promise<DriverResult<Uint8Array | undefined>> => {
      if (name !== 'EDT') throw new Error('an ECU of another make is not asked');
      if (this.edtReport !== undefined) return this.edtReport();
      const report: VersionReport = {
        ecu: SERIALS.EDT,
        installed: {
          name: 'EDT-1.bin',
          version: '1.0.0',
          length: 4,
          hashes: { sha256: 'b'.repeat(64) },
        },
        attack: this.edtAttack,
        time: null,
        counter: ++this.edtReports,
      };
      const value = new TextEncoder().encode(JSON.stringify(signVersionReport(report, edtSigner)));
      return { ok: true, value, warnings: [] };
    };
    const reportReceived = async (counter: number): Promise<DriverResult<void>> => {
      this.received.push(`${name} ${counter}`);
      return { ok: true, value: undefined, warnings: [] };
    };
    return { versionReport, reportReceived } as Partial<EcuDriver> as EcuDriver;
  }

  run<T>(work: Promise<T>): Promise<T> {
    return this.clock.within(24 * 3_600_000, work);
  }

  check(source: UptaneSource, signal = new AbortController().signal) {
    return this.run(source.check(signal));
  }

  /** Runs one check in its own process. */
  async once(options: Partial<UptaneOptions> = {}) {
    return this.check(await this.open(options));
  }

  json(file: string): unknown {
    const bytes = this.storage.contents(file);
    return bytes === undefined ? undefined : JSON.parse(new TextDecoder().decode(bytes));
  }

  eventsOf<K extends TmuEvent['kind']>(kind: K): Extract<TmuEvent, { kind: K }>[] {
    return this.events.filter(
      (event): event is Extract<TmuEvent, { kind: K }> => event.kind === kind,
    );
  }
}

/** Director, image repository and time, over a network that loses, cuts and slows down answers. */
export class UptaneBackend extends FakeBackend {
  readonly fetched: string[] = [];
  readonly manifests: ReturnType<typeof manifestOf>[] = [];
  /** Faults by file, for instance `director targets.json`; used one by one. */
  readonly faults = new Map<string, Fault[]>();
  checkinFaults: BackendFailure[] = [];
  /** The telemetry of each check-in. */
  readonly told: unknown[] = [];
  timeFaults: BackendFailure[] = [];
  /** Replaces a correct attestation. */
  makeTime: ((nonces: readonly string[]) => unknown) | undefined;
  timeRequests = 0;
  /** Bytes that the server has sent. */
  sentBytes = 0;
  readonly #clock: VirtualClock;
  readonly #mock: MockRepositories;

  constructor(clock: VirtualClock, mock: MockRepositories) {
    super(clock);
    this.#clock = clock;
    this.#mock = mock;
  }

  override async checkin(
    checkin: Checkin,
  ): Promise<{ kind: 'checked-in'; time: unknown } | BackendFailure> {
    const fault = this.checkinFaults.shift();
    if (fault !== undefined) return fault;
    this.manifests.push(manifestOf(checkin));
    this.told.push(checkin.telemetry);
    return { kind: 'checked-in', time: this.#time(checkin.nonces) };
  }

  override async time(
    nonces: readonly string[],
  ): Promise<{ kind: 'time'; time: unknown } | BackendFailure> {
    this.timeRequests++;
    return this.timeFaults.shift() ?? { kind: 'time', time: this.#time(nonces) };
  }

  #time(nonces: readonly string[]): unknown {
    if (this.makeTime !== undefined) return this.makeTime(nonces);
    return this.attest(this.#clock.wallMs(), nonces);
  }

  attest(timeMs: number, nonces: readonly string[]): unknown {
    const signers = this.#mock.director.signers('time') as LocalSigner[];
    return signTime({ timeMs, nonces }, signers);
  }

  override async metadata(
    repository: RepositoryName,
    file: string,
    signal?: AbortSignal,
  ): Promise<MetadataBody> {
    const name = `${repository} ${file}`;
    this.fetched.push(name);
    const fault = this.faults.get(name)?.shift();
    if (typeof fault === 'object') return fault;
    const answer = this.#mock.answer(repository, {
      role: '',
      file,
      maxBytes: 10 ** 9,
      optional: true,
    });
    if (answer.kind !== 'bytes' && fault !== 'endless') return { kind: 'missing' };
    const bytes = answer.kind === 'bytes' ? answer.bytes : new Uint8Array();
    return {
      kind: 'body',
      total: fault === 'endless' || fault === 'short' ? undefined : bytes.length,
      chunks: this.#chunks(fault === 'short' ? bytes.subarray(0, -1) : bytes, fault, signal),
    };
  }

  async *#chunks(
    bytes: Uint8Array,
    fault: Exclude<Fault, BackendFailure> | undefined,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, void> {
    const step = fault === 'drip' ? 1 : 1000;
    for (let at = 0; fault === 'endless' || at < bytes.length; at += step) {
      await new Promise<void>((resolve, reject) => {
        signal?.addEventListener('abort', () => reject(new DownloadCut('ABORTED', 'aborted')));
        if (fault !== 'stall') this.#clock.after('network', fault === 'drip' ? 500 : 1, resolve);
      });
      if (fault === 'cut') throw new DownloadCut('ECONNRESET', 'cut');
      const chunk = fault === 'endless' ? new Uint8Array(step) : bytes.subarray(at, at + step);
      this.sentBytes += chunk.length;
      yield chunk;
    }
  }
}

/** The manifest as the Director reads it. Throws when the TMU has not signed it. */
function manifestOf({ manifest, vin }: Checkin) {
  const key = ed25519PublicKey(Buffer.from(tmuSigner.publicKey.keyval.public, 'hex'));
  const checked = checkManifest(JSON.parse(JSON.stringify(manifest)), key);
  if (!checked.ok) throw new Error(checked.reason);
  if (checked.value.vin !== vin) throw new Error('another VIN');
  const reports = Object.entries(checked.value.reports).map(
    ([serial, { signed }]) => [serial, signed as VersionReport] as const,
  );
  return { ...checked.value, reports: Object.fromEntries(reports) };
}

export const away: BackendFailure = {
  kind: 'failed',
  code: 'ECONNREFUSED',
  reason: 'the network is away',
  transient: true,
};
