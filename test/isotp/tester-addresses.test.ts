// Addresses as a vehicle file writes them, in each mode: who sends on which identifier, with which first byte.

import { describe, expect, it } from 'vitest';
import {
  type AddressSpec,
  type IsoTpAddress,
  receiveFilter,
  reverseAddress,
  testerAddresses,
} from '../../src/isotp/address.ts';

const hex = (value: number | undefined): string => value?.toString(16).toUpperCase() ?? '-';
const text = (address: IsoTpAddress | undefined): string | undefined =>
  address &&
  `${address.mode} ${hex(address.tx.id)}/${hex(address.txAddressByte)} ${hex(address.rx.id)}/${hex(address.rxAddressByte)}${address.tx.extended ? ' 29' : ''}`;

const ids = { request: 0x7e1, response: 0x7e9, extended: false } as const;

describe.each<[AddressSpec, string, string | undefined]>([
  [{ mode: 'normal', ...ids }, 'normal 7E1/- 7E9/-', undefined],
  [{ mode: 'normal', ...ids, functional: 0x7df }, 'normal 7E1/- 7E9/-', 'normal 7DF/- 7E9/-'],
  [
    {
      mode: 'normal',
      request: 0x18da10f1,
      response: 0x18daf110,
      functional: 0x18db33f1,
      extended: true,
    },
    'normal 18DA10F1/- 18DAF110/- 29',
    'normal 18DB33F1/- 18DAF110/- 29',
  ],
  [
    { mode: 'normal-fixed', ecu: 0x10, tester: 0xf1, functional: 0x33 },
    'normal-fixed 18DA10F1/- 18DAF110/- 29',
    'normal-fixed 18DB33F1/- 18DBF133/- 29',
  ],
  [
    { mode: 'extended', ...ids, functional: 0x7df, ecu: 0x05, tester: 0xf1, functionalEcu: 0xef },
    'extended 7E1/5 7E9/F1',
    'extended 7DF/EF 7E9/F1',
  ],
  [
    { mode: 'extended', ...ids, ecu: 0x05, tester: 0xf1, functionalEcu: 0xfe },
    'extended 7E1/5 7E9/F1',
    undefined,
  ],
  [
    { mode: 'mixed', ...ids, functional: 0x7df, extension: 0x99 },
    'mixed 7E1/99 7E9/99',
    'mixed 7DF/99 7E9/99',
  ],
  [{ mode: 'mixed', ...ids, extension: 0x99 }, 'mixed 7E1/99 7E9/99', undefined],
])('%o', (spec, physical, functional) => {
  const addresses = testerAddresses(spec);

  it('is these identifiers and bytes', () => {
    expect(text(addresses.physical)).toBe(physical);
    expect(text(addresses.functional)).toBe(functional);
  });

  it('is heard by the other end the other way round', () => {
    const other = reverseAddress(addresses.physical);
    expect(other).toEqual({
      mode: addresses.physical.mode,
      tx: addresses.physical.rx,
      rx: addresses.physical.tx,
      txAddressByte: addresses.physical.rxAddressByte,
      rxAddressByte: addresses.physical.txAddressByte,
    });
    expect(receiveFilter(other)).toMatchObject(addresses.physical.tx);
  });
});
