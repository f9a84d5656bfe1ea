// ECUReset (11): a restart, which an ECU of a moving vehicle refuses to a tester without authority.

import { Nrc } from '../../../../src/uds/nrc.ts';
import * as ecuReset from '../../../../src/uds/services/ecu-reset.ts';
import type { BootedEcu } from '../../device.ts';
import type { EcuService } from './ecu-service.ts';

/**
 * Pause between requested restarts of an ECU on trial, so that the TMU can reach it while another tester restarts it.
 */
const RESTART_PAUSE_MS = 10_000;

export const service: EcuService = {
  sid: ecuReset.row.sid,
  isSecurable: true,
  handler: (parts) => ({
    minLength: 2,
    subFunctions: { 1: {}, 2: {}, 3: {} },
    handle: (bytes, context) => {
      const request = ecuReset.decodeRequest(bytes);
      if (typeof request === 'number') return { nrc: request };
      // In a moving vehicle an ECU restarts only for its TMU, which has checked more conditions than the speed.
      const isRefused = parts.isMoving() || restartsTooOften(parts.device, context.nowMs);
      if (context.authority === undefined && isRefused) return { nrc: Nrc.conditionsNotCorrect };
      // 10.3.1: the response goes out before the reset.
      return { positive: ecuReset.encodeResponse(request.type), afterSent: () => parts.reset() };
    },
  }),
};

function restartsTooOften({ flash, running, identity }: BootedEcu, nowMs: number): boolean {
  const isOnTrial = identity.locked && flash.record.trial !== null;
  return isOnTrial && running.requested && nowMs - running.sinceMs < RESTART_PAUSE_MS;
}
