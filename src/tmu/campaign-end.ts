// Stores the end of a campaign: what runs, which images are kept, what is remembered, and what is reported.

import { type PlanItem, planTargetsKey } from '../campaign/plan.ts';
import type { Approver, CampaignReport } from '../campaign/ports.ts';
import type { CampaignResult } from '../campaign/state.ts';
import type { Clock } from '../core/clock.ts';
import { defined } from '../core/optional.ts';
import type { VehicleImageStore } from './image-store.ts';
import type { InstalledFile } from './installed.ts';
import type { Inventory } from './inventory.ts';
import type { MemoryContent, TmuMemory } from './memory.ts';
import type { Outbox } from './outbox.ts';
import { retentionOf } from './retention.ts';
import type { TrustedSource } from './trusted-source.ts';

export interface CampaignEndOptions {
  readonly vin: string;
  readonly clock: Clock;
  readonly memory: TmuMemory;
  readonly installed: InstalledFile;
  readonly inventory: Inventory;
  readonly outbox: Outbox;
  readonly images: VehicleImageStore;
  readonly trusted: Pick<TrustedSource, 'installed'>;
  readonly approver: Approver | undefined;
}

/** May be repeated after a restart at any point. Throws StorageError. */
export async function closeCampaign(
  result: CampaignResult,
  options: CampaignEndOptions,
  signal: AbortSignal,
): Promise<void> {
  const { memory, inventory, outbox, clock, vin } = options;
  const { items } = result.plan;
  for (const { ecu } of items) inventory.forget(ecu);
  await writeInstalled(result, options);
  const key = planTargetsKey(result.plan);
  if (result.outcome === 'SUCCESS') await memory.forget(key);
  const etag = memory.content.verified?.etag ?? null;
  const remembered = retentionOf(result, memory.recall(key), clock.wallMs(), etag);
  if (remembered !== undefined) await memory.remember(remembered);
  if (result.outcome !== 'BACKEND_UNAVAILABLE') {
    // The Director learns the end from the ECUs themselves. A safe state has two ends, and each is reported.
    await outbox.put(`${result.id} ${result.outcome}`, reportOf(result, vin), { checkin: true });
  }
  const keep = new Set(Object.values(memory.content.images).map(({ download }) => download.sha256));
  const comesAgain =
    result.outcome === 'BACKEND_UNAVAILABLE' ||
    (remembered !== undefined && remembered.notBeforeWallMs !== null);
  if (comesAgain) for (const { download } of items) keep.add(download.sha256);
  await options.images.retain(keep);
  const text = driverText(result);
  if (text !== undefined) await options.approver?.tell(text, signal);
}

async function writeInstalled(
  result: CampaignResult,
  { memory, installed, trusted }: CampaignEndOptions,
): Promise<void> {
  const { items } = result.plan;
  switch (result.outcome) {
    case 'SUCCESS': {
      await installed.set(
        items.map(({ ecu, to }) => ({ ecu, sha256: to.sha256, version: to.version })),
      );
      await trusted.installed(items.map(({ ecu, to }) => ({ ecu, ...to })));
      const kept = Object.fromEntries(items.map((item) => [item.ecu, keptImage(item)]));
      // This campaign settles or replaces the commits that an earlier image of these ECUs still owed.
      const owed = [
        ...memory.content.owedCommits.filter(
          ({ item: { ecu } }) => !items.some((item) => item.ecu === ecu),
        ),
        ...items
          .filter(({ ecu }) => result.uncommitted.includes(ecu))
          .map((item) => ({ item, campaign: result.id, receipts: [...result.receipts] })),
      ];
      await memory.update({ images: { ...memory.content.images, ...kept }, owedCommits: owed });
      return;
    }
    case 'ROLLBACK_COMPLETED':
    case 'ROLLBACK_FAILED':
      // What the ECU said after the rollback. An ECU that said nothing is asked by the next cycle.
      await installed.set(
        result.ecus.flatMap(({ name, reported, sha256 }) =>
          reported === null ? [] : [{ ecu: name, sha256: sha256 ?? undefined, version: reported }],
        ),
      );
      return;
    default:
  }
}

/** The last good image of an ECU, for the rollback of a later campaign. */
function keptImage({ to, download, encryption }: PlanItem): MemoryContent['images'][string] {
  const { file, size, sha256 } = download;
  return {
    sha256: to.sha256,
    version: to.version,
    size: to.size,
    download,
    encryption: encryption === null ? null : { file, length: size, sha256, method: encryption },
  };
}

/** The campaign's report to the backend; texts are cut to the lengths that the backend accepts. */
function reportOf(result: CampaignResult, vin: string): CampaignReport {
  const { warnings } = result;
  return {
    vin,
    outcome: result.outcome,
    ...defined({ code: result.code }),
    campaign: result.id,
    ...defined({ reason: result.reason?.slice(0, 2000) }),
    ...(warnings.length === 0 ? {} : { warnings: warnings.map((text) => text.slice(0, 1000)) }),
    ecus: result.ecus.map((ecu) => ({
      name: ecu.name,
      hardwareId: ecu.hardwareId,
      from: ecu.from,
      version: ecu.reported ?? ecu.from,
      ...defined({ sha256: ecu.sha256 ?? undefined }),
      ...defined({ error: ecu.error?.slice(0, 1000) }),
    })),
  };
}

/** Text for the driver about a campaign that they may have noticed; undefined where there was none. */
function driverText({ outcome, code, reason, ecus }: CampaignResult): string | undefined {
  const now = ecus.map(({ name, reported, from }) => `${name} ${reported ?? from}`).join(', ');
  switch (outcome) {
    case 'SUCCESS':
      return `The update is done: ${now}.`;
    case 'ROLLBACK_COMPLETED':
      return `The update was taken back, the vehicle runs what it ran before: ${now}.`;
    case 'ROLLBACK_FAILED':
      return `The update failed and the vehicle needs service: ${reason ?? now}`;
    default:
      return code === 'CANCELLED' || code === 'CONDITION'
        ? `The update was stopped, nothing has changed: ${reason ?? code}`
        : undefined;
  }
}
