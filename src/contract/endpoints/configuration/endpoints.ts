// The endpoints of remote configuration.

import { changeConfiguration, submitConfiguration } from './change.ts';
import { describeConfiguration } from './describe.ts';
import { showConfiguration } from './show.ts';

export const CONFIGURATION_ENDPOINTS = [
  describeConfiguration,
  showConfiguration,
  changeConfiguration,
  submitConfiguration,
] as const;
