// The bank driver of an ECU, by the number of banks in the vehicle file.

import type { BankDriver } from './bank-driver.ts';
import { singleBank } from './single-bank.ts';
import { twoBanks } from './two-banks.ts';

export function bankDriverFor(banks: 1 | 2): BankDriver {
  return banks === 1 ? singleBank : twoBanks;
}
