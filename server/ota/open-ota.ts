// Puts the parts of the chunked download together.

import type { Clock } from '../../src/core/clock.ts';
import type { Random } from '../../src/core/random.ts';
import type { ChunkFaultRates } from '../../src/services/chunked/faults.ts';
import type { TransferPace } from '../../src/services/chunked/protocol.ts';
import type { AuditLog } from '../db/audit.ts';
import type { Database } from '../db/database.ts';
import { DevicePackageStore } from '../db/device-packages.ts';
import { TransferStore } from '../db/transfers.ts';
import type { ImageStore } from '../images/image-store.ts';
import { ChunkFaults } from './chunk-answer.ts';
import { DeviceCopies } from './device-copies.ts';
import { OtaService } from './ota-service.ts';

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
