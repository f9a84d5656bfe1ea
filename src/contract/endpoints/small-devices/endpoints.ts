// The endpoints of small devices and of their packages.

import { addPackage } from './add-package.ts';
import { otaCheck } from './check.ts';
import { otaChunk } from './chunk.ts';
import { otaComplete } from './complete.ts';
import { listPackages } from './list-packages.ts';
import { listTransfers } from './list-transfers.ts';
import { otaStatus } from './status.ts';
import { otaVerify } from './verify.ts';
import { withdrawPackage } from './withdraw-package.ts';

export const SMALL_DEVICE_ENDPOINTS = [
  otaCheck,
  otaChunk,
  otaVerify,
  otaComplete,
  otaStatus,
  addPackage,
  withdrawPackage,
  listPackages,
  listTransfers,
] as const;
