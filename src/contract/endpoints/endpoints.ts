// All endpoints of the server. A test compares this list with the routes that the server mounts.

import type { Endpoint } from '../endpoint.ts';
import { CAMPAIGN_ENDPOINTS } from './campaigns/endpoints.ts';
import { COMMAND_ENDPOINTS } from './commands/endpoints.ts';
import { CONFIGURATION_ENDPOINTS } from './configuration/endpoints.ts';
import { DIRECTOR_ENDPOINTS } from './director/endpoints.ts';
import { OPERATION_ENDPOINTS } from './operations/endpoints.ts';
import { PEOPLE_ENDPOINTS } from './people/endpoints.ts';
import { REGISTRY_ENDPOINTS } from './registry/endpoints.ts';
import { RELEASE_ENDPOINTS } from './releases/endpoints.ts';
import { SMALL_DEVICE_ENDPOINTS } from './small-devices/endpoints.ts';
import { listSamples } from './telemetry/list-samples.ts';
import { VEHICLE_ENDPOINTS } from './vehicles/endpoints.ts';

export const ENDPOINTS = [
  ...VEHICLE_ENDPOINTS,
  ...DIRECTOR_ENDPOINTS,
  ...RELEASE_ENDPOINTS,
  ...REGISTRY_ENDPOINTS,
  ...SMALL_DEVICE_ENDPOINTS,
  ...CAMPAIGN_ENDPOINTS,
  ...CONFIGURATION_ENDPOINTS,
  ...COMMAND_ENDPOINTS,
  listSamples,
  ...PEOPLE_ENDPOINTS,
  ...OPERATION_ENDPOINTS,
] as const satisfies readonly Endpoint[];

export type EndpointId = (typeof ENDPOINTS)[number]['id'];
