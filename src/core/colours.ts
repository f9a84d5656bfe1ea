// Colours on a terminal only. picocolors by itself also colours pipes wherever the variable CI is set.

import picocolors from 'picocolors';

const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
const wanted =
  (FORCE_COLOR !== undefined && FORCE_COLOR !== '0') ||
  (process.stdout.isTTY === true && TERM !== 'dumb');

/** https://no-color.org: NO_COLOR with any text switches the colours off. */
export const pc = picocolors.createColors(wanted && (NO_COLOR === undefined || NO_COLOR === ''));
