// A second boot loader: a program that is downloaded into the RAM of an ECU and started, and then programs its flash.

import { hexNumber } from '../core/bytes.ts';
import { describeError } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import type { CalledProgram, LoadProgram } from '../image/called-program.ts';
import * as routineControl from '../uds/services/routine-control.ts';
import { fillTemplate } from '../vehicle/byte-template.ts';
import { openDownload } from './download-request.ts';
import { type Exchange, type Exchanged, failure } from './exchange.ts';
import { viewOfSegments } from './layout.ts';
import { blockLength, type Run } from './program-run.ts';
import { transfer } from './transfer.ts';

/** The program that the vehicle file names; undefined for an ECU without. A file that cannot be used is a failure. */
export async function loadSecondBootLoader(
  { ecu }: Exchange,
  load: LoadProgram | undefined,
): Promise<Exchanged<CalledProgram | undefined>> {
  const { secondBootLoader } = ecu.programming;
  if (secondBootLoader === undefined) return { ok: true, value: undefined };
  const { file, call } = secondBootLoader;
  if (load === undefined) {
    return failure(
      'IMAGE_INVALID',
      `${ecu.name} is programmed by a second boot loader (${file}), and this process cannot load it`,
    );
  }
  try {
    return { ok: true, value: await load(file, call) };
  } catch (error) {
    const reason = `the second boot loader of ${ecu.name}: ${describeError(error)}`;
    return failure('IMAGE_INVALID', reason);
  }
}

/** 34, 36 and 37 of each segment, then the routine that starts it. RAM is not erased, and nothing lasting is changed. */
export async function startSecondBootLoader(
  { image, call }: CalledProgram,
  run: Run,
): Promise<Exchanged<void>> {
  const { exchange, hooks } = run;
  const { signal } = hooks;
  const doing = 'downloading its second boot loader';
  const look = () => exchange.isStillProgramming(signal);
  for (const range of viewOfSegments(image, exchange.ecu.memory)) {
    const opened = await openDownload(range, { ...run, encrypted: false }, doing, 0);
    if (!opened.ok) return opened;
    const sent = await transfer({
      exchange,
      source: range.source,
      maxBlockLength: blockLength(exchange, opened.value.maxBlockLength),
      doing,
      ...defined({ signal }),
    });
    if (!sent.ok) return sent;
  }
  const { secondBootLoader } = exchange.ecu.programming;
  const option = fillTemplate(secondBootLoader?.startArguments ?? '{call}', {
    numbers: { call },
    bytes: {},
  });
  if ('problem' in option) {
    return failure('IMAGE_INVALID', `${exchange.peer}: ${option.problem} (startArguments)`);
  }
  const routine = secondBootLoader?.startRoutine ?? 0x0301;
  const started = await exchange.askFor(
    routineControl.encodeRequest(routineControl.RoutineControlType.startRoutine, routine, option),
    `starting its second boot loader at ${hexNumber(call, 8)}`,
    routineControl.decodeResponse,
    signal,
    { look },
  );
  return started.ok ? { ok: true, value: undefined } : started;
}
