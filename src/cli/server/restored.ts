// `can-ota server restored`: the operator runs it after restoring a backup.

import {
  declareRestored,
  WITHDRAWN_SINCE,
} from '../../../server/features/registry/restored-command.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { type CommonOptions, runCommand } from '../context.ts';

export function restored(options: CommonOptions & { readonly data: string }): Promise<void> {
  return runCommand(options, async (context) => {
    const done = await declareRestored(options.data);
    const { above, serialsAbove, endedSessions, packages } = done;
    context.emit({ kind: 'restored', ...done });
    context.say(
      `New versions of metadata continue above ${above}, serial numbers above ${serialsAbove}. ` +
        `${endedSessions} sessions of people and devices are ended; they log in again.`,
    );
    context.say(
      'Releases and Roots that were signed since the backup come back by: can-ota release push IMAGE... --server URL',
    );
    if (packages > 0) context.say(`${WITHDRAWN_SINCE} (${packages} are offered).`);
    return ExitCode.success;
  });
}
