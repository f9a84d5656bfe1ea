// The endpoints of vehicles and of their reports.

import { otaDownload } from './download.ts';
import { latestVersion } from './latest-version.ts';
import { getNonce, postNonce } from './nonce.ts';
import { reportVersions } from './report-versions.ts';
import { vehicleSync } from './sync.ts';
import { telemetryUpload } from './telemetry-upload.ts';
import { vehicleCheckin } from './vehicle-checkin.ts';

export const VEHICLE_ENDPOINTS = [
  latestVersion,
  getNonce,
  postNonce,
  otaDownload,
  reportVersions,
  vehicleSync,
  telemetryUpload,
  vehicleCheckin,
] as const;
