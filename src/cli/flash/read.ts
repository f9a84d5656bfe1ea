// `can-ota read`: data identifiers of one ECU.

import { asciiText, toHex } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { pc } from '../../core/colours.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import type { Advice } from '../../drivers/advice.ts';
import { readDids } from '../../drivers/read-dids.ts';
import { isBoard } from '../../onboard/board.ts';
import { type BusOptions, connectTester, openReaderBus } from '../../onboard/bus.ts';
import type { SecretOptions } from '../../onboard/vehicle-secrets.ts';
import { didText } from '../../uds/did-names.ts';
import { type CommonOptions, runCommand } from '../context.ts';
import { targetEcu } from './target-ecu.ts';

interface ReadOptions extends CommonOptions, BusOptions, SecretOptions {
  readonly vehicle?: string;
}

export function read(name: string, dids: readonly string[], options: ReadOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const numbers = dids.map(parseDid);
    const { ecu, advice } = await targetEcu(name, options);
    if (isBoard(ecu)) {
      throw new InputError(
        'ECU',
        `${name} is a board with OpenBLT, which has no data identifiers: "can-ota status" tells what the TMU has written into it`,
      );
    }
    await using opened = await openReaderBus(options, context);
    const fitting: Advice = {
      ...advice,
      about: (topic, described) =>
        topic === 'security'
          ? 'it tells this only to a tester that has unlocked it, which "read" does not do'
          : advice.about(topic, described),
    };
    const requester = connectTester(opened.bus, ecu, context);
    const readings = await readDids(
      { ecu, requester, clock: systemClock, advice: fitting },
      numbers,
      context.signal,
    );
    requester.close();
    for (const reading of readings) {
      const did = reading.did.toString(16).toUpperCase().padStart(4, '0');
      if (reading.ok) {
        const text = printable(reading.data);
        context.emit({
          ecu: name,
          did,
          name: didText(reading.did),
          bytes: toHex(reading.data),
          text: text ?? null,
        });
        context.say(`${did}  ${text ?? toHex(reading.data)}  ${pc.dim(didText(reading.did))}`);
      } else {
        context.emit({ ecu: name, did, error: { code: reading.code, message: reading.reason } });
        process.stderr.write(`can-ota: ${reading.reason}\n`);
      }
    }
    return readings.every((reading) => reading.ok) ? ExitCode.success : ExitCode.ecuFailed;
  });
}

function parseDid(text: string): number {
  if (!/^(0x)?[0-9a-fA-F]{4}$/.test(text)) {
    throw new InputError('DID', `${text}: expected four hexadecimal digits, like F189`);
  }
  return Number.parseInt(text.replace(/^0x/, ''), 16);
}

/** The text of an identifier that holds text, undefined for anything else. */
function printable(data: Uint8Array): string | undefined {
  return data.length > 0 && data.every((byte) => byte >= 0x20 && byte < 0x7f)
    ? asciiText(data)
    : undefined;
}
