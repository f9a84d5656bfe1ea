// Runs the programming sequence on one ECU, and always restores the bus afterwards.

import type { TransferReport } from '../campaign/ports.ts';
import { sleep } from '../core/clock.ts';
import { assertNever } from '../core/errors.ts';
import { Sid } from '../uds/services/all.ts';
import * as diagnosticSessionControl from '../uds/services/diagnostic-session-control.ts';
import { Session } from '../uds/sid.ts';
import { download } from './download.ts';
import type { Exchanged } from './exchange.ts';
import { layOut, sentDigests } from './layout.ts';
import { sendMetadata } from './metadata-transfer.ts';
import { isSkipped, type ProgramOptions, type Run } from './program-run.ts';
import { runRoutine } from './routine.ts';
import { startSecondBootLoader } from './second-boot-loader.ts';
import { type ProgrammingStep, programmingSequence } from './sequence.ts';
import { unlock } from './unlock.ts';

/** Longest wait to restore an ECU that is still erasing; S3 ends its session anyway. */
const RESTORE_MS = 500;

/** Runs all steps from the extended session to the check of the dependencies. */
export async function program(options: ProgramOptions): Promise<Exchanged<TransferReport>> {
  const { exchange, image, plain, metadata, firstImage, secondBootLoader, silence } = options;
  const { ecu } = exchange;
  const laidOut = layOut(ecu, image, options.encrypted ? plain.length : undefined);
  if (!laidOut.ok) return laidOut;
  const layout = laidOut.value;
  const run: Run = { ...options, layout, crc32: 0, transferMs: 0, spared: 0, checked: false };
  const wallMs = exchange.clock.wallMs();
  const digests = await sentDigests(ecu, layout, image, plain.sha256);
  const steps = programmingSequence({
    ecu,
    digests,
    layout,
    metadata,
    firstImage,
    secondBootLoader,
    wallMs,
  });
  let quiet = false;
  let isReset = false;
  exchange.keepAlive('this-ecu');
  try {
    for (const step of steps) {
      if (step.kind === 'silence') {
        quiet = true;
        await silence.acquire((request) => exchange.broadcast(request), exchange.ecu.programming);
        // The silence of the others ends with their sessions.
        exchange.keepAlive('all-ecus');
        continue;
      }
      const done = await perform(step, run);
      if (!done.ok && !isSkipped(step, done, run)) return done;
    }
    const after = (await options.andThen?.()) ?? { ok: true };
    if (!after.ok) return after;
    isReset = options.andThen !== undefined;
    const { spared, transferMs, checked } = run;
    const { carried } = layout;
    const resumed = spared > 0 && spared < carried;
    return {
      ok: true,
      value: {
        bytes: carried - spared,
        transferMs,
        changed: options.fact.value,
        held: checked,
        ...(resumed ? { resumedAt: spared } : {}),
      },
    };
  } finally {
    exchange.keepAlive('off');
    await restore(options, quiet, isReset);
  }
}

/** Switches normal communication and trouble codes on again and enters the default session, also after a failure. */
async function restore(options: ProgramOptions, quiet: boolean, isReset: boolean): Promise<void> {
  const { exchange, silence, warnings } = options;
  if (quiet) await silence.release((request) => exchange.broadcast(request));
  // Leaving the programming session can restart the ECU, so it may not answer. The signal does not stop this request.
  const request = diagnosticSessionControl.encodeRequest(Session.default);
  const reply = await exchange.reply(request, undefined, {
    pendingLimitMs: RESTORE_MS,
    patienceMs: RESTORE_MS,
  });
  const left = exchange.interpret(request, 'leaving the programming session', reply);
  // After a reset the session has already ended.
  if (!left.ok && left.code !== 'BUS' && !isReset) warnings.push(left.reason);
}

async function perform(
  step: Exclude<ProgrammingStep, { kind: 'silence' }>,
  run: Run,
): Promise<Exchanged<void>> {
  const { exchange } = run;
  const { signal } = run.hooks;
  switch (step.kind) {
    case 'request': {
      const look = () => exchange.isStillProgramming(signal);
      const answer = await exchange.ask(step.request, step.doing, signal, { look });
      if (!answer.ok) return answer;
      if (entersProgramming(step.request)) await settle(run);
      return { ok: true, value: undefined };
    }
    case 'routine':
      return run.checked && step.routine === exchange.ecu.programming.checkMemoryRoutine
        ? { ok: true, value: undefined }
        : runRoutine(step, run);
    case 'security':
      return unlock(exchange, run.runCommand, signal);
    case 'boot-loader':
      return startSecondBootLoader(step.program, run);
    case 'metadata':
      return sendMetadata(step, run);
    case 'download':
      return download(step, run);
    default:
      return assertNever(step);
  }
}

function entersProgramming([sid, session]: Uint8Array): boolean {
  return sid === Sid.diagnosticSessionControl && session === Session.programming;
}

/** Waits for an application that answers 10 02 and jumps into its bootloader, which may not receive requests yet. */
async function settle({ exchange, hooks }: Run): Promise<void> {
  const { sessionPauseMs } = exchange.ecu.programming;
  if (sessionPauseMs > 0) {
    await sleep(exchange.clock, 'session-pause', sessionPauseMs, hooks.signal);
  }
  exchange.expectRestart();
}
