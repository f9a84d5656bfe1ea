// The endpoints of the Director.

import { checkin } from './checkin.ts';
import { directorRoot } from './director-root.ts';
import { vehicleTime } from './time.ts';
import { uploadDirectorRoot } from './upload-root.ts';
import { vehicleMetadata } from './vehicle-metadata.ts';

export const DIRECTOR_ENDPOINTS = [
  checkin,
  vehicleTime,
  vehicleMetadata,
  directorRoot,
  uploadDirectorRoot,
] as const;
