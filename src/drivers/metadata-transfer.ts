// Sends a file that the bootloader verifies before it allows an erase, by RequestFileTransfer (38).

import { defined } from '../core/optional.ts';
import * as requestFileTransfer from '../uds/services/request-file-transfer.ts';
import type { Exchanged } from './exchange.ts';
import { blockLength, type Run } from './program-run.ts';
import type { ProgrammingStep } from './sequence.ts';
import { transfer } from './transfer.ts';
import { explainRefusal } from './trust-exchange.ts';

/** RequestFileTransfer, the file, and the ECU's own words where it refuses it. */
export async function sendMetadata(
  step: Extract<ProgrammingStep, { kind: 'metadata' }>,
  run: Run,
): Promise<Exchanged<void>> {
  const { exchange, hooks } = run;
  const opened = await exchange.askFor(
    step.request,
    step.doing,
    requestFileTransfer.decodeResponse,
    hooks.signal,
    { look: () => exchange.isStillProgramming(hooks.signal) },
  );
  if (!opened.ok) return opened;
  if (opened.value.mode !== 'addFile') {
    return exchange.malformed(step.request, step.doing, `mode ${opened.value.mode}`);
  }
  const sent = await transfer({
    exchange,
    source: {
      length: step.file.length,
      sha256: '',
      read: async (offset, length) => step.file.subarray(offset, offset + length),
    },
    maxBlockLength: blockLength(exchange, opened.value.maxBlockLength),
    doing: step.doing,
    ...defined({ signal: hooks.signal }),
  });
  if (sent.ok) return { ok: true, value: undefined };
  return sent.code === 'REFUSED' ? explainRefusal(exchange, sent, `the ${step.name}`) : sent;
}
