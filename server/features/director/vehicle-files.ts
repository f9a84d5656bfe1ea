// Targets, Snapshot and Timestamp of one vehicle: signed when something changed or half of their time is over.

import { createHash } from 'node:crypto';
import type { Clock } from '../../../src/core/clock.ts';
import {
  buildSnapshot,
  buildTargets,
  buildTimestamp,
  type MetaSpec,
  parseSignedRole,
  payloadBytes,
  signRole,
  type TargetSpec,
} from '../../../src/trust/role-signing.ts';
import type { RootChain } from '../releases/root-chain.ts';
import type { VehicleRecord } from '../vehicles/rows.ts';
import type { SignedVehicleFiles, VehicleStore } from '../vehicles/store.ts';
import type { VersionFloor } from './version-floor.ts';

const HOUR_MS = 3_600_000;
/** Timestamp is what keeps a vehicle from believing old news, so it is the shortest. */
const TIMESTAMP_VALIDITY_MS = 48 * HOUR_MS;
const TARGETS_VALIDITY_MS = 14 * 24 * HOUR_MS;
/** A signature that lasts this much longer than it may is replaced: the clock was ahead when it was made. */
const CLOCK_SLACK_MS = 7 * 24 * HOUR_MS;

export class VehicleFiles {
  readonly #chain: RootChain;
  readonly #vehicles: VehicleStore;
  readonly #floor: VersionFloor;
  readonly #clock: Clock;

  constructor(chain: RootChain, vehicles: VehicleStore, floor: VersionFloor, clock: Clock) {
    this.#chain = chain;
    this.#vehicles = vehicles;
    this.#floor = floor;
    this.#clock = clock;
  }

  /** Makes `targets` what the vehicle is told. Versions only rise and are stored before they are served. */
  async publish(
    vin: string,
    known: VehicleRecord | undefined,
    targets: Readonly<Record<string, TargetSpec>>,
  ): Promise<void> {
    const decisionSha256 = this.#digestOf(targets);
    const floor = await this.#floor.current();
    const isAbove = known !== undefined && isAboveFloor(known, floor);
    if (isAbove && known.decisionSha256 === decisionSha256) return this.renew(known);
    await this.#sign(vin, known, decisionSha256, (version, expiresMs) =>
      // 5.2.3.1: Targets names the vehicle also when it holds nothing, so that it cannot be another vehicle's.
      buildTargets({ version, expiresMs, targets, custom: { vin } }),
    );
  }

  /** The same again with a later end, when it is time; nothing is decided. */
  async renew(known: VehicleRecord): Promise<void> {
    const nowMs = this.#clock.wallMs();
    if (!isDue(known, nowMs)) return;
    const { vin, targetsVersion, decisionSha256 } = known;
    const bytes = await this.#vehicles.file(vin, 'targets', targetsVersion);
    if (bytes === undefined || decisionSha256 === undefined) return;
    const { signed } = parseSignedRole(bytes);
    const targets = signed.targets as Readonly<Record<string, TargetSpec>>;
    // A Root that came meanwhile may have other keys, and a restore other versions: all of it is signed again.
    const isAbove = isAboveFloor(known, await this.#floor.current());
    if (!isAbove || this.#digestOf(targets) !== decisionSha256) {
      return this.publish(vin, known, targets);
    }
    const leftMs = Date.parse(signed.expires) - nowMs;
    if (leftMs < TARGETS_VALIDITY_MS / 2 || leftMs > TARGETS_VALIDITY_MS + CLOCK_SLACK_MS) {
      await this.#sign(vin, known, decisionSha256, (version, expiresMs) =>
        buildTargets({ version, expiresMs, targets, custom: { vin } }),
      );
      return;
    }
    const snapshot = await this.#vehicles.file(vin, 'snapshot', known.snapshotVersion);
    if (snapshot === undefined) return;
    const timestamp = known.timestampVersion + 1;
    await this.#vehicles.storeSigned(vin, {
      versions: { targets: targetsVersion, snapshot: known.snapshotVersion, timestamp },
      files: { timestamp: await this.#timestamp(timestamp, known.snapshotVersion, snapshot) },
      decisionSha256,
      renewAt: this.#renewAt(),
    });
  }

  async #sign(
    vin: string,
    known: VehicleRecord | undefined,
    decisionSha256: string,
    build: (version: number, expiresMs: number) => ReturnType<typeof buildTargets>,
  ): Promise<void> {
    const floor = await this.#floor.current();
    const versions: SignedVehicleFiles['versions'] = {
      targets: Math.max(known?.targetsVersion ?? 0, floor) + 1,
      snapshot: Math.max(known?.snapshotVersion ?? 0, floor) + 1,
      timestamp: Math.max(known?.timestampVersion ?? 0, floor) + 1,
    };
    const expiresMs = this.#clock.wallMs() + TARGETS_VALIDITY_MS;
    const targets = await signRole(
      build(versions.targets, expiresMs),
      this.#chain.signers('targets'),
    );
    const snapshot = await signRole(
      buildSnapshot({
        version: versions.snapshot,
        expiresMs,
        meta: { 'targets.json': describe(targets, versions.targets) },
      }),
      this.#chain.signers('snapshot'),
    );
    const timestamp = await this.#timestamp(versions.timestamp, versions.snapshot, snapshot);
    await this.#vehicles.storeSigned(vin, {
      versions,
      files: { targets, snapshot, timestamp },
      decisionSha256,
      renewAt: this.#renewAt(),
    });
  }

  #timestamp(version: number, snapshotVersion: number, snapshot: Uint8Array): Promise<Uint8Array> {
    return signRole(
      buildTimestamp({
        version,
        expiresMs: this.#clock.wallMs() + TIMESTAMP_VALIDITY_MS,
        snapshot: describe(snapshot, snapshotVersion),
      }),
      this.#chain.signers('timestamp'),
    );
  }

  #renewAt(): string {
    return new Date(this.#clock.wallMs() + TIMESTAMP_VALIDITY_MS / 2).toISOString();
  }

  /** Over what is said and by whom: another Root may want other signatures under the same words. */
  #digestOf(targets: Readonly<Record<string, TargetSpec>>): string {
    const { version } = this.#chain;
    return createHash('sha256')
      .update(payloadBytes({ root: version, targets }))
      .digest('hex');
  }
}

/**
 * Half of the time of Timestamp is over; or the files were signed by a clock that was ahead of the one of now, and would last
 * longer than they may.
 */
export function isDue({ renewAt }: VehicleRecord, nowMs: number): boolean {
  if (renewAt === undefined) return false;
  const inMs = Date.parse(renewAt) - nowMs;
  return inMs <= 0 || inMs > TIMESTAMP_VALIDITY_MS / 2 + CLOCK_SLACK_MS;
}

/** What was signed before a restore may be known to the vehicle with other contents. */
function isAboveFloor(known: VehicleRecord, floor: number): boolean {
  const { targetsVersion, snapshotVersion, timestampVersion } = known;
  return Math.min(targetsVersion, snapshotVersion, timestampVersion) > floor;
}

function describe(bytes: Uint8Array, version: number): MetaSpec {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { version, length: bytes.length, hashes: { sha256 } };
}
