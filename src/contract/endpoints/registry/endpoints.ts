// The endpoints of the registry: provisioning, and the sessions of devices.

import { activate } from './activate.ts';
import { challenge } from './challenge.ts';
import { provision } from './provision.ts';
import { answerChallenge } from './response.ts';
import { rotate } from './rotate.ts';

export const REGISTRY_ENDPOINTS = [
  provision,
  activate,
  challenge,
  answerChallenge,
  rotate,
] as const;
