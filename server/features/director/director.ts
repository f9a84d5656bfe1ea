// The Director (5.3.2): hears what a vehicle runs, decides what it should run, and signs that for this vehicle alone.

import { createHash } from 'node:crypto';
import type { CheckinTelemetry } from '../../../src/contract/checkin-telemetry.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { describeError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/core/logger.ts';
import { present } from '../../../src/core/present.ts';
import type { EncryptedImage } from '../../../src/trust/director.ts';
import type { SignedJson, VersionReport } from '../../../src/trust/manifest.ts';
import { signJson } from '../../../src/trust/signed-json.ts';
import { signTime } from '../../../src/trust/time-attestation.ts';
import type { RegisteredDevice } from '../../platform/auth/identity.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import type { AuditEvent, AuditLog } from '../audit/store.ts';
import type { ClockWatch } from '../operations/clock-watch.ts';
import type { DeviceStore } from '../registry/store.ts';
import type { RootChain } from '../releases/root-chain.ts';
import type { ReleaseSource } from '../releases/signed-releases.ts';
import type { FleetState, VehicleRecord } from '../vehicles/rows.ts';
import type { NewReport, VehicleStore } from '../vehicles/store.ts';
import { type AssignedImage, stateOf, targetsOf } from './assignment.ts';
import type { BackupWatch } from './backup-watch.ts';
import { type Behind, behind, type OwnVersions } from './behind.ts';
import { checkVehicleManifest, type ManifestRefusal, nameOf } from './check-manifest.ts';
import { decide, type ImageAssignment, type SignedRelease } from './decide.ts';
import type { ImageEncryption } from './encrypt-image.ts';
import { isDue, VehicleFiles } from './vehicle-files.ts';
import type { VersionFloor } from './version-floor.ts';

export interface DirectorOptions {
  readonly chain: RootChain;
  readonly releases: ReleaseSource;
  readonly devices: DeviceStore;
  readonly vehicles: VehicleStore;
  readonly floor: VersionFloor;
  /** What is told to operators. */
  readonly watch: BackupWatch;
  readonly clockWatch: ClockWatch;
  readonly encryption: ImageEncryption;
  /** Whether the image of a release can be downloaded. */
  readonly holds: (release: SignedRelease) => boolean;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ReceivedCheckin {
  readonly vin: string;
  readonly manifest?: unknown;
  readonly telemetry?: CheckinTelemetry | undefined;
}

export interface CheckinAnswer {
  readonly director: {
    readonly root: number;
    readonly timestamp: number;
    readonly snapshot: number;
    readonly targets: number;
  };
  readonly status: FleetState;
}

/** `timestamp.json`, `7.targets.json`. */
const FILE = /^(?:([1-9]\d{0,9})\.)?(root|timestamp|snapshot|targets)\.json$/;

export class Director {
  readonly #options: DirectorOptions;
  readonly #files: VehicleFiles;
  /** One check-in of a vehicle at a time. Only vehicles that are being served stand here. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(options: DirectorOptions) {
    this.#options = options;
    const { chain, vehicles, floor, clock } = options;
    this.#files = new VehicleFiles(chain, vehicles, floor, clock);
  }

  /**
   * Throws HttpProblem 403 when `device` is not the Primary of that vehicle; 422 (409 for a replay) `MANIFEST_*` when
   * the manifest is missing or broken; 503 `BACKEND_BEHIND` when the vehicle knows newer metadata than this server, which must
   * have been restored from a backup. Then the vehicle is marked for attention, and nothing new is signed.
   */
  async checkin(
    device: RegisteredDevice,
    body: ReceivedCheckin,
    address: string,
  ): Promise<CheckinAnswer> {
    const { vin } = body;
    if (device.vin !== vin || !device.primary) {
      throw new HttpProblem(
        403,
        'FOREIGN_VEHICLE',
        `${device.serial} is not the Primary of ${vin}: only that one checks in for it`,
      );
    }
    return this.#inTurn(vin, () => this.#checkin(device, body, address));
  }

  /** Signed by the role `time`. */
  async time(nonces: readonly string[]): Promise<SignedJson> {
    const { chain, clock, clockWatch } = this.#options;
    const signers = chain.signers('time');
    const timeMs = clock.wallMs();
    await clockWatch.signs(
      signers.map(({ keyId }) => keyId),
      timeMs,
    );
    return signTime({ timeMs, nonces }, signers);
  }

  /** The exchange of a session with a device, signed by the role `time`, too: what is signed says what it is. */
  signSession(signed: unknown): SignedJson | Promise<SignedJson> {
    return signJson(signed, this.#options.chain.signers('time'));
  }

  /** A metadata file of a vehicle by its versioned or unversioned name. */
  async file(vin: string, name: string): Promise<Uint8Array | undefined> {
    const { chain, vehicles } = this.#options;
    const match = FILE.exec(name);
    if (match === null) return undefined;
    const role = match[2] as 'root' | 'timestamp' | 'snapshot' | 'targets';
    const version = match[1] === undefined ? undefined : Number(match[1]);
    if (role === 'root') return version === undefined ? chain.bytes : chain.find(version);
    if (version !== undefined) return vehicles.file(vin, role, version);
    const known = await vehicles.find(vin);
    if (known === undefined) return undefined;
    // A vehicle that waits for attention hears the last decision on, not silence: silence would look like an attack.
    const current = await this.#renewed(known);
    return vehicles.file(vin, role, current[`${role}Version`]);
  }

  /** A vehicle that has checked in: its row is never deleted. */
  async #known(vin: string): Promise<VehicleRecord> {
    return present(await this.#options.vehicles.find(vin), `the row of ${vin}`);
  }

  async #renewed(known: VehicleRecord): Promise<VehicleRecord> {
    const { clock, logger } = this.#options;
    if (!isDue(known, clock.wallMs())) return known;
    try {
      return await this.#inTurn(known.vin, async () => {
        await this.#files.renew(await this.#known(known.vin));
        return this.#known(known.vin);
      });
    } catch (error) {
      logger.error({ vin: known.vin, error: describeError(error) }, 'cannot be signed again');
      return known;
    }
  }

  async #checkin(
    device: RegisteredDevice,
    body: ReceivedCheckin,
    address: string,
  ): Promise<CheckinAnswer> {
    const { devices, vehicles, chain, clock } = this.#options;
    const { vin } = body;
    const inventory = await devices.ofVehicle(vin);
    const active = inventory.filter(({ status }) => status === 'active');
    const reports = await vehicles.reports(active.map(({ serial }) => serial));
    const sha256 = createHash('sha256')
      .update(JSON.stringify(body.manifest ?? null))
      .digest('hex');
    const checked = checkVehicleManifest(body.manifest, {
      vin,
      primary: device,
      inventory: active,
      inactive: new Set(
        inventory.filter(({ status }) => status !== 'active').map(({ serial }) => serial),
      ),
      known: reports,
      timeWasReset: chain.tookAway('time'),
      nowMs: clock.wallMs(),
    });
    if (checked.kind === 'refused') {
      // The very manifest that was accepted last is an answer that was lost, and says nothing about the vehicle.
      const again = (await vehicles.find(vin))?.manifestSha256 === sha256;
      throw await this.#refused(vin, checked, address, again);
    }
    // Whatever is signed now could carry a version that the vehicle knows with other contents, or order an older release.
    const { knows } = checked;
    const known = await vehicles.find(vin);
    await this.#options.floor.current();
    const lag = () => behind(knows, this.#ownVersions(known));
    const found = lag();
    if (found !== undefined) throw await this.#isBehind(vin, found, lag, address);
    this.#options.watch.caughtUp(vin);
    const attacks = [...checked.reports].filter(([, { attack }]) => attack !== '');
    const heard = active.map((ecu) => this.#newReport(ecu, checked.reports, reports));
    const stored = await vehicles.acceptManifest({
      vin,
      sha256,
      telemetry: body.telemetry,
      reports: heard,
      attacks: attacks
        .filter(([serial, { attack }]) => reports.get(serial)?.attack !== attack)
        .map(([serial, { attack }]): AuditEvent => {
          const ecu = active.find((other) => other.serial === serial);
          return {
            action: 'vehicle.attack',
            who: vin,
            address,
            detail: `${ecu === undefined ? serial : nameOf(ecu)}: ${attack}`,
          };
        }),
    });
    if (!stored) throw await this.#refused(vin, REPLAYED, address, false);
    const decisions = await this.#decide(active, heard);
    await this.#files.publish(vin, await vehicles.find(vin), targetsOf(decisions));
    const [state, reason] = stateOf(decisions, active, attacks);
    const now = await this.#known(vin);
    // Most check-ins change nothing, and a transaction for nothing is a fifth of one.
    if (now.state !== state || now.reason !== reason) {
      await vehicles.setState(vin, state, reason, address);
    }
    return {
      director: {
        root: chain.version,
        timestamp: now.timestampVersion,
        snapshot: now.snapshotVersion,
        targets: now.targetsVersion,
      },
      status: state,
    };
  }

  /** A version up to the floor will not be signed any more: it counts as one that this server knows. */
  #ownVersions(known: VehicleRecord | undefined): OwnVersions {
    const { chain, floor, releases } = this.#options;
    const above = (version: number | undefined): number => Math.max(version ?? 0, floor.latest);
    const { versions } = releases;
    return {
      director: {
        root: chain.version,
        targets: above(known?.targetsVersion),
        snapshot: above(known?.snapshotVersion),
        timestamp: above(known?.timestampVersion),
      },
      images: versions && {
        ...versions,
        snapshot: above(versions.snapshot),
        timestamp: above(versions.timestamp),
      },
    };
  }

  async #isBehind(
    vin: string,
    { what, wayOut }: Behind,
    lag: () => Behind | undefined,
    address: string,
  ): Promise<HttpProblem> {
    const { vehicles, watch } = this.#options;
    watch.isBehind(vin, { what, wayOut }, lag);
    const reason = `the vehicle knows newer metadata than this server, which was restored from a backup: ${what}. Run ${wayOut}`;
    await vehicles.setState(vin, 'needs-attention', reason, address);
    return new HttpProblem(
      503,
      'BACKEND_BEHIND',
      `this server was restored from a backup: ${vin} knows ${what}. Nothing is signed for it until its operator has run ${wayOut}`,
    );
  }

  async #refused(
    vin: string,
    { code, detail }: ManifestRefusal,
    address: string,
    harmless: boolean,
  ): Promise<HttpProblem> {
    const { audit, vehicles } = this.#options;
    await audit.record({
      action: 'manifest.refused',
      who: vin,
      address,
      detail: `${code}: ${detail}`,
    });
    if (!harmless) {
      await vehicles.setState(vin, 'needs-attention', `manifest refused: ${detail}`, address);
    }
    return new HttpProblem(code === 'MANIFEST_REPLAYED' ? 409 : 422, code, detail);
  }

  #newReport(
    ecu: RegisteredDevice,
    reports: ReadonlyMap<string, VersionReport>,
    known: ReadonlyMap<string, { readonly releaseCounter: number }>,
  ): NewReport {
    const report = present(reports.get(ecu.serial), `the report of ${ecu.serial}`);
    const { installed, attack, time, counter } = report;
    const { sha256 } = installed.hashes;
    const running = this.#options.releases
      .releases()
      .find((release) => release.sha256 === sha256 && release.ecu === ecu.name);
    return {
      serial: ecu.serial,
      counter,
      file: installed.name,
      length: installed.length,
      sha256,
      releaseCounter: Math.max(
        known.get(ecu.serial)?.releaseCounter ?? 0,
        running?.releaseCounter ?? 0,
      ),
      attack,
      time: time ?? undefined,
    };
  }

  /** 5.3.2.1 steps 5 and 6. An image that cannot be had now is decided about without it. */
  async #decide(
    ecus: readonly RegisteredDevice[],
    heard: readonly NewReport[],
  ): Promise<readonly AssignedImage[]> {
    const { releases, holds, logger } = this.#options;
    await releases.refresh();
    const reports = new Map(heard.map((report) => [report.serial, report]));
    const facts = ecus.flatMap(({ serial, name, hardwareId, encryptionKey }) => {
      if (name === undefined || hardwareId === undefined) return [];
      const report = reports.get(serial);
      const installedSha256 = report?.sha256;
      const highestCounter = report?.releaseCounter ?? 0;
      const canDecrypt = encryptionKey !== undefined;
      return [{ serial, name, hardwareId, installedSha256, highestCounter, canDecrypt }];
    });
    const missing = new Set<string>();
    for (;;) {
      const available = releases
        .releases()
        .filter((release) => holds(release) && !missing.has(release.name));
      const assigned: AssignedImage[] = [];
      let complete = true;
      for (const decision of decide(facts, available)) {
        const { release } = decision;
        try {
          assigned.push({ decision, encryption: await this.#copyFor(decision, ecus) });
        } catch (error) {
          logger.error(
            { file: release.name, error: describeError(error) },
            'an image cannot be encrypted: vehicles get an older one, or none',
          );
          missing.add(release.name);
          complete = false;
          break;
        }
      }
      if (complete) return assigned;
    }
  }

  async #copyFor(
    { ecu, release }: ImageAssignment,
    ecus: readonly RegisteredDevice[],
  ): Promise<EncryptedImage | undefined> {
    if (!release.encrypt) return undefined;
    const device = ecus.find(({ serial }) => serial === ecu.serial);
    const key = present(device?.encryptionKey, `the encryption key of ${ecu.serial}`);
    return this.#options.encryption.copyFor(ecu.serial, key, release);
  }

  #inTurn<T>(vin: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(vin) ?? Promise.resolve();
    const result = before.then(work, work);
    const turn = result
      .catch(() => {})
      .finally(() => {
        if (this.#turns.get(vin) === turn) this.#turns.delete(vin);
      });
    this.#turns.set(vin, turn);
    return result;
  }
}

const REPLAYED: ManifestRefusal = {
  kind: 'refused',
  code: 'MANIFEST_REPLAYED',
  detail: 'another check-in with these reports was faster: send new ones',
};
