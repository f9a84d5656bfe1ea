// Puts the parts of the chunked download together.

import type { ChunkFaultRates } from '../../../src/contract/chunked/faults.ts';
import type { TransferPace } from '../../../src/contract/chunked/protocol.ts';
import type { Clock } from '../../../src/core/clock.ts';
import type { Random } from '../../../src/core/random.ts';
import type { Database } from '../../platform/db/database.ts';
import type { AuditLog } from '../audit/store.ts';
import type { ImageStore } from '../releases/image-store.ts';
import { ChunkFaults } from './chunk-answer.ts';
import { DeviceCopies } from './device-copies.ts';
import { OtaService } from './ota-service.ts';
import { DevicePackageStore } from './package-store.ts';
import { TransferStore } from './transfer-store.ts';

export interface Ota {
  readonly packages: DevicePackageStore;
  readonly transfers: TransferStore;
  readonly ota: OtaService;
}

/** `pace`: of each device. `rates`: on a bench, what goes wrong and how often. */
export function openOta(
  parts: {
    readonly db: Database;
    readonly audit: AuditLog;
    readonly images: ImageStore;
    readonly random: Random;
    readonly clock: Clock;
  },
  pace: TransferPace,
  rates: ChunkFaultRates = {},
): Ota {
  const { db, audit, images, random, clock } = parts;
  const packages = new DevicePackageStore(db, audit);
  const transfers = new TransferStore(db, audit);
  const copies = new DeviceCopies({ packages, images, random });
  const faults = new ChunkFaults(rates, random, clock);
  return {
    packages,
    transfers,
    ota: new OtaService({ packages, transfers, copies, images, faults, pace }),
  };
}
