// Preloaded into a process of a test (--import): its wall clock is off by what a file says, in milliseconds, at any time.

import { readFileSync } from 'node:fs';

const file = process.env.CAN_OTA_TEST_CLOCK;
const real = Date.now.bind(Date);

Date.now = () => real() + offsetMs();

function offsetMs() {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return 0;
  }
}
