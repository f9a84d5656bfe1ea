// The mock repositories do what their names say: honest ones are accepted, each lie is one that the verifier names.

import { describe, expect, it } from 'vitest';
import { RepositoryUpdate, trustRoot } from '../../src/trust/repository.ts';
import { parseSignedRole } from '../../src/trust/role-signing.ts';
import {
  MOCK_NOW_MS,
  type MockRepository,
  mockRepositories,
  serveUpdate,
} from '../support/mock-repositories.ts';

/** `accepted`, or the code that the verifier gives, for a reader who has seen the repository before the lie. */
function codeAfter(
  lie: (images: MockRepository) => unknown,
  prepare: (images: MockRepository) => unknown = () => {},
): string {
  const mock = mockRepositories();
  prepare(mock.images);
  mock.release('EDT');
  const anchor = trustRoot(mock.images.anchor);
  if (!anchor.ok) throw new Error(anchor.reason);
  const first = new RepositoryUpdate(anchor.value, MOCK_NOW_MS);
  expect(serveUpdate(mock.images, first)).toBeUndefined();
  lie(mock.images);
  const second = new RepositoryUpdate(first.trust, MOCK_NOW_MS);
  return serveUpdate(mock.images, second)?.code ?? 'accepted';
}

describe('a mock repository', () => {
  it.each<[string, (images: MockRepository) => unknown, string]>([
    ['that publishes again', (images) => images.publish(), 'accepted'],
    ['with rotated keys', (images) => images.rotate('targets', 'timestamp'), 'accepted'],
    ['with a rotated Root', (images) => images.rotate('root'), 'accepted'],
    ['with a higher threshold', (images) => images.setThreshold('targets', 3), 'accepted'],
    ['that delegates', (images) => images.delegate({ name: 's', paths: ['s-*'] }), 'accepted'],
    ['whose Timestamp ran out', (images) => images.expire('timestamp'), 'FREEZE'],
    ['whose Snapshot ran out', (images) => images.expire('snapshot'), 'FREEZE'],
    ['whose Root ran out', (images) => images.expire('root'), 'FREEZE'],
    ['with an older Timestamp', (images) => images.publish().replay(0), 'accepted'],
    ['with an older Targets', (images) => images.publish().setVersion('targets', 1), 'accepted'],
    [
      'with too few signatures',
      (images) => images.tooFewSignatures('targets'),
      'ARBITRARY_SOFTWARE',
    ],
    ['with foreign keys', (images) => images.foreignKeys('snapshot'), 'ARBITRARY_SOFTWARE'],
    ['whose Root has foreign keys', (images) => images.foreignKeys('root'), 'ARBITRARY_SOFTWARE'],
    [
      'with one key under two ids',
      (images) => images.oneKeyUnderTwoIds('targets'),
      'KEY_CONFUSION',
    ],
    ['with a JSON key twice', (images) => images.duplicateJsonKey('timestamp'), 'MALFORMED'],
    [
      'without its Snapshot',
      (images) => images.publish().omit('2.snapshot.json'),
      'MISSING_METADATA',
    ],
    [
      'with an endless file',
      (images) => images.publish().endless('2.targets.json'),
      'ENDLESS_DATA',
    ],
    ['with a slow file', (images) => images.slow('timestamp.json'), 'SLOW_RETRIEVAL'],
    [
      'with a strange spec_version',
      (images) => images.edit('targets', (payload) => ({ ...payload, spec_version: '9.9.9' })),
      'MALFORMED',
    ],
  ])('%s', (_name, lie, code) => {
    expect(codeAfter(lie)).toBe(code);
  });

  it.each(['timestamp', 'snapshot', 'targets'])('rolls %s back', (role) => {
    const prepare = (images: MockRepository) => images.setVersion(role, 5);
    expect(codeAfter((images) => images.setVersion(role, 3), prepare)).toBe('ROLLBACK');
    expect(codeAfter((images) => images.setVersion(role, 6), prepare)).toBe('accepted');
  });

  it('keeps what was served and can serve it again', () => {
    const { images } = mockRepositories();
    const before = images.files();
    images.publish();
    expect(images.version('timestamp')).toBe(2);
    expect(images.files().get('timestamp.json')).not.toEqual(before.get('timestamp.json'));
    expect(images.replay(0).files().get('timestamp.json')).toEqual(before.get('timestamp.json'));
    expect(images.behave().files().get('2.snapshot.json')).toBeDefined();
  });
});

describe('the pair', () => {
  it('lists a release in both, and the vehicle in the Director', () => {
    const mock = mockRepositories({ vin: 'V1' });
    const edt = mock.release('EDT', { releaseCounter: 4 });
    mock.assign('CO-000001', edt).assign('CO-000002', edt, { encryption: { file: 'blob' } });
    const director = parseSignedRole(mock.files('director').get('targets.json')!).signed;
    const images = parseSignedRole(mock.files('images').get('targets.json')!).signed;
    expect(director.custom).toEqual({ vin: 'V1' });
    expect(images.targets).toEqual({ [edt.name]: edt.target });
    expect(director.targets).toEqual({
      [edt.name]: {
        ...edt.target,
        custom: {
          ...edt.target.custom,
          ecuIdentifiers: {
            'CO-000001': { hardwareId: 'EDT-HW-1' },
            'CO-000002': { hardwareId: 'EDT-HW-1', encryption: { file: 'blob' } },
          },
        },
      },
    });
    expect(parseSignedRole(mock.director.anchor).signed.roles).toHaveProperty('time');
  });
});
