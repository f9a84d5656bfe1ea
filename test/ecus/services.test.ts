// The services of the simulated ECU: a row in each file, and each row in the list under the standard's number.

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { ECU_SERVICES } from '../../ecus/bootloader/diagnostics/services/all.ts';
import type { EcuService } from '../../ecus/bootloader/diagnostics/services/ecu-service.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../ecus/bootloader/diagnostics/services');
const CODECS = path.resolve(import.meta.dirname, '../../src/uds/services');
const files = readdirSync(FOLDER).filter((file) => file !== 'all.ts' && file !== 'ecu-service.ts');
const services: readonly EcuService[] = ECU_SERVICES;

it.each(files)('%s is in the list, with the number of its codec', async (file) => {
  const { service } = (await import(path.join(FOLDER, file))) as { service: EcuService };
  const { row } = (await import(path.join(CODECS, file))) as { row: { sid: number } };
  expect(services).toContain(service);
  expect(service.sid).toBe(row.sid);
});

it('lets seven services stand inside of 84', () => {
  const securable = services.filter(({ isSecurable }) => isSecurable === true);
  const codes = securable.map(({ sid }) => sid).sort((a, b) => a - b);
  expect(codes).toEqual([0x11, 0x14, 0x19, 0x22, 0x2e, 0x2f, 0x31]);
  expect(services).toHaveLength(files.length);
});
