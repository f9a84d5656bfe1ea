// The part of the vehicle file with the data and commands of an ECU.

import { z } from 'zod';
import { faultOfCommand, faultOfDatum } from './check-services.ts';
import { commandFields, datumFields, name } from './service-fields.ts';

export const ecuData = z.record(
  name,
  datumFields.superRefine((datum, context) => report(faultOfDatum(datum), context)),
);
export const ecuCommands = z.record(
  name,
  commandFields.superRefine((command, context) => report(faultOfCommand(command), context)),
);

function report(
  fault: ReturnType<typeof faultOfCommand>,
  context: { addIssue(issue: { code: 'custom'; path: string[]; message: string }): void },
): void {
  if (fault === undefined) return;
  context.addIssue({ code: 'custom', path: [...fault.path], message: fault.message });
}
