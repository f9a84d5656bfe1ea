// The log of a command on standard error: sentences for people on a terminal, JSON lines for what collects logs.

import { type DestinationStream, pino } from 'pino';
import { pc } from '../core/colours.ts';
import { InputError } from '../core/errors.ts';
import { printError } from '../core/live-area.ts';
import type { Logger } from '../core/logger.ts';
import { LOG_FORMAT_VARIABLE, type LogFormat } from './log-format.ts';

/**
 * Logs go to standard error, so that standard output has only the documented output. Without a format a terminal gets
 * text and everything else JSON. Throws InputError for an unknown level.
 */
export function createLogger(level: string, format: LogFormat | undefined): Logger {
  if (!(level in pino.levels.values) && level !== 'silent') {
    throw new InputError(
      '--log-level',
      `${level} is none of trace debug info warn error fatal silent`,
    );
  }
  const chosen = format ?? (process.stderr.isTTY === true ? 'text' : 'json');
  process.env[LOG_FORMAT_VARIABLE] = chosen;
  return pino({ level, base: null }, chosen === 'text' ? textLines() : jsonLines());
}

function textLines(): DestinationStream {
  const paint = process.stderr.isTTY === true ? pc.dim : (text: string) => text;
  return { write: (line) => printError(paint(readable(line))) };
}

/** An error of the log output must not end the command. */
function jsonLines(): DestinationStream {
  const destination = pino.destination({ dest: 2, sync: true });
  destination.on('error', () => {});
  return destination;
}

/** `warn: message (ecu EDT, code SILENT)` of one JSON line. */
export function readable(line: string): string {
  const { level, time: _time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const facts = Object.entries(fields).map(
    ([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const label = pino.levels.labels[Number(level)] ?? 'log';
  return `${label}: ${String(msg)}${facts.length > 0 ? ` (${facts.join(', ')})` : ''}`;
}
