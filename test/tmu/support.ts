// A backend and ECUs without network and bus, and a TMU between them on virtual time.

import { createHash } from 'node:crypto';
import type {
  ApprovalAnswer,
  ApprovalQuestion,
  Approver,
  Backend,
  CampaignOrders,
  CampaignReport,
  CampaignStatusReport,
  CancelOrder,
  Changed,
  Checkin,
  DownloadAnswer,
  DriverResult,
  EcuDriver,
  EcuIdentity,
  EcuReport,
  ForgottenApproval,
  HealthChecks,
  LatestAnswer,
  MetadataBody,
  Offer,
  Release,
  RollbackOrder,
  RollbackReport,
  Target,
  TransferReport,
} from '../../src/campaign/ports.ts';
import type { BackendFailure } from '../../src/core/backend-failure.ts';
import { DownloadCut } from '../../src/core/backend-failure.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { Tmu, type TmuOptions } from '../../src/tmu/tmu.ts';
import type { CycleResult, TmuEvent } from '../../src/tmu/tmu-event.ts';
import type { TrustedCheck, TrustedSource, WantedImage } from '../../src/tmu/trusted-source.ts';
import { commitmentOf } from '../../src/trust/authority.ts';
import type { EcuTrustState } from '../../src/trust/bundle.ts';
import type { RepositoryName } from '../../src/trust/full-verification.ts';
import { type Vehicle, vehicleSchema } from '../../src/vehicle/schema.ts';
import { FaultStorage } from '../support/fault-storage.ts';

export const sha256 = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');

export const bytesOf = (length: number, seed = 7): Uint8Array => seededRandom(seed).bytes(length);

export const vehicle: Vehicle = vehicleSchema.parse({
  vin: '1CANXTABENCH00001',
  buses: { main: {} },
  approval: { ecu: 'CGW', key: 'f0'.repeat(32) },
  ecus: ['CGW', 'EDT', 'INV'].map((name, index) => ({
    name,
    hardwareId: `${name}-HW`,
    address: { mode: 'normal', request: 0x7e0 + index, response: 0x7e8 + index },
    memory: { bankSize: 64 * 1024 },
    order: name === 'CGW' ? 9 : index,
    unavailable: `the ${name}`,
  })),
});

export function refused(code: string, more: Partial<BackendFailure> = {}): BackendFailure {
  return { kind: 'failed', code, reason: code, transient: true, ...more };
}

/** How one answer of a download differs from a correct one. */
export interface DownloadFault {
  readonly failure?: BackendFailure;
  /** The connection breaks after this many bytes of the body. */
  readonly cutAfter?: number;
  /** The body ends without an error after this many bytes. */
  readonly endAfter?: number;
  /** The body stops after this many bytes. */
  readonly stallAfter?: number;
  readonly ignoreRange?: boolean;
  readonly offset?: number;
  readonly total?: number | undefined;
  readonly bytes?: Uint8Array;
  /** Pause between two chunks. */
  readonly chunkMs?: number;
}

export class FakeBackend implements Backend {
  releases: Release[] = [];
  readonly images = new Map<string, Uint8Array>();
  /** Used one by one; afterwards there are no faults. */
  latestFaults: BackendFailure[] = [];
  nonceFaults: BackendFailure[] = [];
  downloadFaults: DownloadFault[] = [];
  reportFaults: BackendFailure[] = [];
  readonly calls: string[] = [];
  readonly reports: CampaignReport[] = [];
  chunkBytes = 1000;
  readonly #clock: VirtualClock;
  #nonces = 0;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  release(ecu: string, version: string, image: Uint8Array, change: Partial<Release> = {}): void {
    const digest = sha256(image);
    const file = `${ecu}-${version}-${digest.slice(0, 12)}.bin`;
    this.images.set(file, image);
    this.releases = this.releases.filter((other) => other.ecu !== ecu);
    this.releases.push({
      ecu,
      version,
      file,
      size: image.length,
      sha256: digest,
      notes: `notes of ${ecu}`,
      ...change,
    });
  }

  get etag(): string {
    return sha256(new TextEncoder().encode(JSON.stringify(this.releases)));
  }

  async latest(_ecus: readonly string[], etag: string | undefined): Promise<LatestAnswer> {
    this.calls.push(etag === this.etag ? 'latest 304' : 'latest');
    const fault = this.latestFaults.shift();
    if (fault !== undefined) return fault;
    if (etag === this.etag) return { kind: 'not-modified' };
    return { kind: 'releases', etag: this.etag, releases: this.releases };
  }

  async nonce(): Promise<{ kind: 'nonce'; nonce: string } | BackendFailure> {
    this.calls.push('nonce');
    return this.nonceFaults.shift() ?? { kind: 'nonce', nonce: `nonce-${++this.#nonces}` };
  }

  async download(
    release: { file: string },
    nonce: string,
    offset: number,
    signal?: AbortSignal,
  ): Promise<DownloadAnswer> {
    this.calls.push(`download ${release.file.split('-')[0]} ${offset} ${nonce}`);
    const fault = this.downloadFaults.shift() ?? {};
    if (fault.failure !== undefined) return fault.failure;
    const image = fault.bytes ?? this.images.get(release.file);
    if (image === undefined) return refused('HTTP_404', { transient: false });
    const from = fault.offset ?? (fault.ignoreRange ? 0 : offset);
    return {
      kind: 'body',
      offset: from,
      total: 'total' in fault ? fault.total : image.length,
      chunks: this.#chunks(image.subarray(from), fault, signal),
    };
  }

  async *#chunks(
    body: Uint8Array,
    fault: DownloadFault,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, void> {
    for (let at = 0; at < body.length; at += this.chunkBytes) {
      const limit = fault.cutAfter ?? fault.endAfter ?? fault.stallAfter ?? body.length;
      const end = Math.min(at + this.chunkBytes, body.length, limit);
      await new Promise<void>((resolve, reject) => {
        signal?.addEventListener('abort', () => reject(new DownloadCut('ABORTED', 'aborted')));
        this.#clock.after('network', fault.chunkMs ?? 1, resolve);
      });
      if (end > at) yield body.subarray(at, end);
      if (end < Math.min(at + this.chunkBytes, body.length) || end === limit) {
        if (fault.cutAfter !== undefined) throw new DownloadCut('ECONNRESET', 'cut');
        if (fault.endAfter !== undefined) return;
        if (fault.stallAfter !== undefined) {
          await new Promise<void>((_resolve, reject) => {
            signal?.addEventListener('abort', () => reject(new DownloadCut('ABORTED', 'aborted')));
          });
        }
      }
    }
  }

  async report(report: CampaignReport): Promise<{ kind: 'accepted' } | BackendFailure> {
    const fault = this.reportFaults.shift();
    this.calls.push(`report ${report.outcome}`);
    if (fault !== undefined) return fault;
    this.reports.push(report);
    return { kind: 'accepted' };
  }

  /** Order of the operator; an answered order is not given again. */
  cancel: CancelOrder | null = null;
  /** Order of the operator to ask the driver again about this campaign. */
  askAgain: { readonly campaign: string; readonly reason: string } | undefined;
  campaignFaults: BackendFailure[] = [];
  readonly statuses: CampaignStatusReport[] = [];

  async campaign(status: CampaignStatusReport): Promise<CampaignOrders | BackendFailure> {
    const fault = this.campaignFaults.shift();
    if (fault !== undefined) return fault;
    this.statuses.push(status);
    if (status.answer !== undefined && status.answer.order === this.cancel?.order) {
      this.cancel = null;
    }
    const { askAgain } = this;
    return status.state === 'refused' && askAgain?.campaign === status.campaign
      ? { kind: 'orders', cancel: null, askAgain: { by: 'operator', reason: askAgain.reason } }
      : { kind: 'orders', cancel: this.cancel };
  }

  async checkin(
    _checkin: Checkin,
  ): Promise<{ kind: 'checked-in'; time: unknown } | BackendFailure> {
    throw new Error('the trusted source of this test needs no check-in');
  }

  async time(
    _nonces: readonly string[],
  ): Promise<{ kind: 'time'; time: unknown } | BackendFailure> {
    throw new Error('the trusted source of this test needs no time');
  }

  async metadata(_repository: RepositoryName, _file: string): Promise<MetadataBody> {
    throw new Error('the trusted source of this test needs no metadata');
  }
}

/** The verified target of an unencrypted release. */
export function offerOf(release: Release): Offer {
  const { ecu, version, file, size, sha256: digest, notes } = release;
  return {
    ecu,
    version,
    targetName: file,
    size,
    sha256: digest,
    releaseCounter: 1,
    download: { file, size, sha256: digest },
    encryption: null,
    dependencies: {},
    forced: false,
    notes,
  };
}

/** Trusts everything that the backend offers by default; see test/tmu/uptane for the real source. */
export class FakeTrusted implements TrustedSource {
  /** Used one by one; afterwards there are no faults. */
  checks: TrustedCheck[] = [];
  checkins: BackendFailure[] = [];
  standing: Awaited<ReturnType<TrustedSource['stands']>>[] = [];
  bundles: Awaited<ReturnType<TrustedSource['bundle']>>[] = [];
  readonly calls: string[] = [];
  readonly counters: Record<string, number> = {};
  /** Replaces the backend's releases, for instance by encrypted images. */
  offers: Offer[] | undefined;
  readonly #backend: FakeBackend;

  constructor(backend: FakeBackend) {
    this.#backend = backend;
  }

  async check(): Promise<TrustedCheck> {
    this.calls.push('check');
    const offers = this.offers ?? this.#backend.releases.map(offerOf);
    return this.checks.shift() ?? { kind: 'offers', offers, checkedIn: true };
  }

  readonly checkIn: TrustedSource['checkIn'] = async () => {
    this.calls.push('checkin');
    return this.checkins.shift() ?? { kind: 'checked-in' };
  };

  async bundle(ecu: string, _state: EcuTrustState): ReturnType<TrustedSource['bundle']> {
    this.calls.push(`bundle ${ecu}`);
    return (
      this.bundles.shift() ?? { ok: true, value: new TextEncoder().encode(`{"for":"${ecu}"}`) }
    );
  }

  async stands({ ecu }: WantedImage): Promise<Awaited<ReturnType<TrustedSource['stands']>>> {
    this.calls.push(`stands ${ecu}`);
    return this.standing.shift() ?? { ok: true };
  }

  async installed(images: readonly { ecu: string; releaseCounter: number }[]): Promise<void> {
    for (const { ecu, releaseCounter } of images) this.counters[ecu] = releaseCounter;
  }
}

interface Bank {
  version: string;
  sha256: string;
}

/** An ECU with two banks that keeps its state in memory and lives longer than every TMU. */
export class FakeEcu implements EcuDriver {
  readonly name: string;
  hardwareId: string;
  active: Bank;
  inactive: Bank | undefined;
  previous: Bank | undefined;
  mode: 'confirmed' | 'trial' = 'confirmed';
  /** Methods that were called, in order. */
  readonly calls: string[] = [];
  /** Failures to come, by method. */
  faults: Partial<Record<string, DriverResult<never>[]>> = {};
  /** Duration of a staging. */
  stageMs = 2000;
  received = new Uint8Array();
  /** Metadata that it was given to verify. */
  metadata: string | undefined;
  /** Throws when a campaign breaks a rule; set by the test. */
  onCall: ((ecu: FakeEcu, call: string) => void) | undefined;
  readonly #clock: VirtualClock;

  constructor(name: string, clock: VirtualClock) {
    this.name = name;
    this.hardwareId = `${name}-HW`;
    this.#clock = clock;
    this.active = { version: '1.0.0', sha256: sha256(bytesOf(100, name.charCodeAt(0))) };
  }

  fail(
    method: string,
    ...codes: ('SILENT' | 'REFUSED' | 'SELF_TEST' | 'SECURITY' | 'UNTRUSTED')[]
  ): void {
    this.faults[method] = codes.map((code) => ({
      ok: false,
      code,
      reason: `${this.name} ${code}`,
      transient: code === 'SILENT',
      changed: 'unknown',
    }));
  }

  #begin(call: string): DriverResult<never> | undefined {
    this.calls.push(call);
    this.onCall?.(this, call);
    return this.faults[call]?.shift();
  }

  async identify(): Promise<DriverResult<EcuIdentity>> {
    const fault = this.#begin('identify');
    if (fault !== undefined) return fault;
    const { version, sha256: digest } = this.active;
    const value = { hardwareId: this.hardwareId, version, serialNumber: 'SN', sha256: digest };
    return { ok: true, value, warnings: [] };
  }

  async stage(
    { version, image, plain, metadata }: Target,
    hooks: Parameters<EcuDriver['stage']>[1] = {},
  ): Promise<DriverResult<TransferReport>> {
    const fault = this.#begin('stage');
    if (fault !== undefined) return fault;
    const wanted = plain ?? image;
    if (this.inactive?.sha256 === wanted.sha256 || this.active.sha256 === wanted.sha256) {
      return { ok: true, value: nothingDone('unknown'), warnings: [] };
    }
    if (this.mode === 'trial') throw new Error(`${this.name} staged while on trial`);
    if (typeof metadata === 'function') {
      const made = await metadata({
        verification: 'partial',
        director: { root: 1 },
        counter: 0,
        time: null,
        nonce: '00'.repeat(16),
      });
      if (!made.ok) return { ...made, changed: 'no' };
      this.metadata = new TextDecoder().decode(made.value);
    }
    if ((await hooks.changing?.()) === false) return stopped('no');
    this.inactive = undefined;
    for (let part = 1; part <= 4; part++) {
      await new Promise<void>((resolve) => {
        this.#clock.after('transfer', this.stageMs / 4, resolve);
      });
      if (hooks.signal?.aborted) {
        return stopped('yes');
      }
      hooks.progress?.({ sent: Math.floor((image.length * part) / 4), total: image.length });
    }
    this.received = Uint8Array.from(await image.read(0, image.length));
    if (sha256(this.received) !== image.sha256) throw new Error('the store handed out other bytes');
    this.inactive = { version: version!, sha256: wanted.sha256 };
    return {
      ok: true,
      value: { ...nothingDone('yes'), bytes: image.length, transferMs: this.stageMs },
      warnings: [],
    };
  }

  async activate(
    { image: carried, plain }: Target,
    hooks: Parameters<EcuDriver['activate']>[1] = {},
  ): Promise<DriverResult<TransferReport>> {
    const fault = this.#begin('activate');
    if (fault !== undefined) return fault;
    const image = plain ?? carried;
    if (this.active.sha256 !== image.sha256) {
      if (this.inactive?.sha256 !== image.sha256) {
        return {
          ok: false,
          code: 'NOT_STAGED',
          reason: 'nothing staged',
          transient: false,
          changed: 'no',
        };
      }
      if ((await hooks.changing?.()) === false) return stopped('no');
      this.previous = this.active;
      this.active = this.inactive;
      this.inactive = undefined;
      this.mode = 'trial';
    }
    return { ok: true, value: nothingDone('yes'), warnings: [] };
  }

  /** The last health checks that it was given. */
  checks: HealthChecks | undefined;

  async verify(target: Target, checks: HealthChecks): Promise<DriverResult<EcuReport>> {
    this.checks = checks;
    const fault = this.#begin('verify');
    if (fault !== undefined) return fault;
    const commitment = commitmentTo(target.campaign, this.receiptOf(target.campaign));
    return { ok: true, value: { ...this.active, commitment }, warnings: [] };
  }

  /** The receipt of its confirmation for the others; different in each campaign. */
  receiptOf(campaign: string): string {
    return createHash('sha256').update(`${this.name} ${campaign}`).digest('hex').slice(0, 32);
  }

  /** Campaign and commitments of its last confirmation. */
  #told: { readonly campaign: string; readonly commitments: readonly string[] } | undefined;

  async confirm(
    { campaign }: Target,
    commitments: readonly string[],
  ): Promise<DriverResult<string | undefined>> {
    const fault = this.#begin('confirm');
    if (fault !== undefined) return fault;
    const own = this.receiptOf(campaign);
    if (!commitments.includes(commitmentTo(campaign, own))) {
      throw new Error(`${this.name} was confirmed without its own commitment`);
    }
    this.#told = { campaign, commitments };
    this.mode = 'confirmed';
    return { ok: true, value: own, warnings: [] };
  }

  /** Version with the highest counter that was raised. */
  counterOf: string | undefined;

  async commit({ campaign }: Target, receipts: readonly string[]): Promise<DriverResult<void>> {
    const fault = this.#begin('commit');
    if (fault !== undefined) return fault;
    if (this.mode === 'trial') throw new Error(`${this.name} raised its counter while on trial`);
    const proven = receipts.map((receipt) => commitmentTo(campaign, receipt)).sort();
    const isProven =
      this.#told?.campaign === campaign &&
      JSON.stringify(proven) === JSON.stringify([...this.#told.commitments].sort());
    if (!isProven) throw new Error(`${this.name} raised its counter without the right receipts`);
    this.counterOf = this.active.version;
    return { ok: true, value: undefined, warnings: [] };
  }

  async rollback({ target }: RollbackOrder): Promise<DriverResult<RollbackReport>> {
    const fault = this.#begin('rollback');
    if (fault !== undefined) return fault;
    if (
      this.active.sha256 === (target.plain ?? target.image).sha256 &&
      this.previous !== undefined
    ) {
      this.active = this.previous;
      this.previous = undefined;
    }
    this.inactive = undefined;
    this.mode = 'confirmed';
    return { ok: true, value: { ...this.active, unchanged: false }, warnings: [] };
  }

  async versionReport(): Promise<DriverResult<Uint8Array | undefined>> {
    return { ok: true, value: undefined, warnings: [] };
  }

  /** Counters of version reports that were acknowledged as received by the Director. */
  readonly reportsReceived: number[] = [];

  async reportReceived(counter: number): Promise<DriverResult<void>> {
    this.reportsReceived.push(counter);
    return { ok: true, value: undefined, warnings: [] };
  }
}

function commitmentTo(campaign: string, receipt: string): string {
  return toHex(commitmentOf(fromHex(campaign), fromHex(receipt)));
}

function stopped(changed: Changed): DriverResult<never> {
  return { ok: false, code: 'INTERRUPTED', reason: 'stopped', transient: true, changed };
}

function nothingDone(changed: TransferReport['changed']): TransferReport {
  return { bytes: 0, transferMs: 0, changed, held: false };
}

class FakeApprover implements Approver {
  answers: ApprovalAnswer[] = [];
  rechecks: (ApprovalAnswer | ForgottenApproval)[] = [];
  readonly asked: ApprovalQuestion[] = [];
  readonly informed: ApprovalQuestion[] = [];
  readonly rechecked: { readonly phase: string; readonly final: boolean }[] = [];
  /** Texts for the driver about the ends of campaigns. */
  readonly told: string[] = [];
  withdrawn = 0;
  /** Approvals by campaign, as a CGW stores them. */
  readonly approved = new Set<string>();

  async ask(question: ApprovalQuestion): Promise<ApprovalAnswer> {
    this.asked.push(question);
    const answer = this.answers.shift() ?? { kind: 'approved' };
    if (answer.kind === 'approved') this.approved.add(idOf(question));
    return answer;
  }

  async recheck(
    question: ApprovalQuestion,
    final: boolean,
  ): Promise<ApprovalAnswer | ForgottenApproval> {
    this.rechecked.push({ phase: question.phase, final });
    const scripted = this.rechecks.shift();
    if (scripted !== undefined) return scripted;
    return this.approved.has(idOf(question))
      ? { kind: 'approved' }
      : { kind: 'forged', reason: 'never asked' };
  }

  async withdraw(): Promise<void> {
    this.withdrawn++;
  }

  async inform(question: ApprovalQuestion): ReturnType<Approver['inform']> {
    this.informed.push(question);
    return { kind: 'informed' };
  }

  /** The driver has pressed "now after all". */
  again = false;
  async wantsAgain(question: ApprovalQuestion): Promise<boolean> {
    return this.again && this.asked.some((asked) => idOf(asked) === idOf(question));
  }

  async tell(text: string): Promise<void> {
    this.told.push(text);
  }
}

function idOf({ campaignId, nonce, phase }: ApprovalQuestion): string {
  return `${campaignId} ${nonce} ${phase}`;
}

/** The world outside the TMU; TMUs are started and stopped in it. */
export class World {
  readonly clock = new VirtualClock();
  readonly backend = new FakeBackend(this.clock);
  readonly trusted = new FakeTrusted(this.backend);
  readonly approver = new FakeApprover();
  readonly ecus = new Map(
    vehicle.ecus.map(({ name }) => [name, new FakeEcu(name, this.clock)] as const),
  );
  storage = new FaultStorage();
  readonly events: TmuEvent[] = [];
  /** Events of one process. */
  #random = seededRandom(99);

  ecu(name: string): FakeEcu {
    return this.ecus.get(name)!;
  }

  tmu(options: Partial<TmuOptions> = {}): Tmu {
    return new Tmu({
      backend: this.backend,
      trusted: async () => this.trusted,
      driverFor: (name) => this.ecu(name),
      approver: this.approver,
      storage: this.storage,
      vehicle,
      clock: this.clock,
      random: this.#random,
      logger: silentLogger,
      events: (event) => this.events.push(event),
      lock: async () => ({ release: async () => {} }),
      ...options,
    });
  }

  /** Runs one cycle in its own process. */
  async once(
    options: Partial<TmuOptions> = {},
    signal: AbortSignal = new AbortController().signal,
  ): Promise<CycleResult> {
    const tmu = this.tmu(options);
    try {
      return await this.clock.within(3_600_000, tmu.runOnce(signal));
    } finally {
      await tmu.close();
    }
  }

  file(name: string): string | undefined {
    const bytes = this.storage.contents(name);
    return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
  }

  eventsOf<K extends TmuEvent['kind']>(kind: K): Extract<TmuEvent, { kind: K }>[] {
    return this.events.filter(
      (event): event is Extract<TmuEvent, { kind: K }> => event.kind === kind,
    );
  }
}
