// Full verification of a vehicle against repositories of ten thousand images.

import { expect, it } from 'vitest';
import { mockRepositories } from '../../support/mock-repositories.ts';
import { EDT, verification } from './full-verification-support.ts';
import { must } from './support.ts';

it('verifies 10,000 images without copying or checking anything twice', () => {
  const mock = mockRepositories();
  for (let count = 0; count < 10_000; count++) mock.release('BMS', { version: `1.0.${count}` });
  mock.assign(EDT.serial, mock.release('EDT'));
  const files = { director: mock.files('director'), images: mock.files('images') };
  const full = verification(mock);
  for (let next = full.next(); next !== undefined; next = full.next()) {
    const bytes = files[next.repository].get(next.request.file);
    must(full.accept(bytes === undefined ? { kind: 'missing' } : { kind: 'bytes', bytes }));
  }
  expect(full.result()).toHaveLength(1);
});
