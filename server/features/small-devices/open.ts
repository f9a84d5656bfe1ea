// Puts the parts of the chunked download together.

import type Router from '@koa/router';
import type { ChunkFaultRates } from '../../../src/contract/chunked/faults.ts';
import type { TransferPace } from '../../../src/contract/chunked/protocol.ts';
import type { Clock } from '../../../src/core/clock.ts';
import type { Random } from '../../../src/core/random.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import type { SealedGuard } from '../../platform/auth/sealed-message.ts';
import type { Database } from '../../platform/db/database.ts';
import type { RequestState } from '../../platform/http/request.ts';
import type { AuditLog } from '../audit/store.ts';
import type { AvailableReleases } from '../releases/available.ts';
import type { ImageStore } from '../releases/image-store.ts';
import { ChunkFaults } from './chunk-answer.ts';
import { chunkRoutes } from './chunk-routes.ts';
import { DeviceCopies } from './device-copies.ts';
import { OtaService } from './ota-service.ts';
import { DevicePackageStore } from './package-store.ts';
import type { PackageIntake } from './receive-package.ts';
import { packageRoutes } from './routes.ts';
import { TransferStore } from './transfer-store.ts';
import type { WithdrawalParts } from './withdraw-package.ts';

export interface SmallDeviceParts {
  readonly db: Database;
  readonly audit: AuditLog;
  readonly images: ImageStore;
  readonly random: Random;
  readonly clock: Clock;
}

export interface SmallDevices {
  readonly packages: DevicePackageStore;
  readonly transfers: TransferStore;
  readonly ota: OtaService;
  routes(
    guard: RouteGuard,
    sealed: SealedGuard,
    parts: {
      readonly available: AvailableReleases;
      readonly intake: Omit<PackageIntake, 'packages'>;
      readonly withdrawal: Omit<WithdrawalParts, 'packages'>;
    },
  ): Router<RequestState>[];
}

/** `pace`: of each device. `rates`: on a bench, what goes wrong and how often. */
export function openSmallDevices(
  { db, audit, images, random, clock }: SmallDeviceParts,
  pace: TransferPace,
  rates: ChunkFaultRates = {},
): SmallDevices {
  const packages = new DevicePackageStore(db, audit);
  const transfers = new TransferStore(db, audit);
  const copies = new DeviceCopies({ packages, images, random });
  const faults = new ChunkFaults(rates, random, clock);
  const ota = new OtaService({ packages, transfers, copies, images, faults, pace });
  return {
    packages,
    transfers,
    ota,
    routes: (guard, sealed, { available, intake, withdrawal }) => [
      chunkRoutes({ guard, sealed, ota, available }),
      packageRoutes({
        guard,
        intake: { ...intake, packages },
        withdrawal: { ...withdrawal, packages },
        transfers,
      }),
    ],
  };
}
