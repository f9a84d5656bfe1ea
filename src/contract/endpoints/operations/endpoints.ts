// The endpoints for operations.

import { health } from './health.ts';
import { metrics } from './metrics.ts';
import { openApi } from './openapi.ts';
import { staticFile } from './static-file.ts';

export const OPERATION_ENDPOINTS = [health, metrics, staticFile, openApi] as const;
