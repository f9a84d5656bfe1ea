// What a vehicle knows and the server does not, and which command leads out.

import { describe, expect, it } from 'vitest';
import { behind } from '../../server/features/director/behind.ts';

const ALL = { root: 1, timestamp: 4, snapshot: 3, targets: 2 };
const own = { director: ALL, images: ALL };

describe('a server that is behind a vehicle', () => {
  it.each([
    ['director', 'root', 2, 'Director Root 2 (1 here)', 'can-ota release push'],
    ['director', 'targets', 3, 'Director Targets 3 (2 here)', 'can-ota server restored'],
    ['director', 'snapshot', 9, 'Director Snapshot 9 (3 here)', 'can-ota server restored'],
    ['director', 'timestamp', 5, 'Director Timestamp 5 (4 here)', 'can-ota server restored'],
    ['images', 'root', 2, 'image Root 2 (1 here)', 'can-ota release push'],
    ['images', 'targets', 3, 'image Targets 3 (2 here)', 'can-ota release push'],
    ['images', 'snapshot', 4, 'image Snapshot 4 (3 here)', 'can-ota server restored'],
    ['images', 'timestamp', 5, 'image Timestamp 5 (4 here)', 'can-ota server restored'],
  ] as const)('%s %s: %i', (repository, role, version, what, wayOut) => {
    const knows = { ...own, [repository]: { ...ALL, [role]: version } };
    expect(behind(knows, own)).toEqual({ what, wayOut });
  });

  it('names everything, and both commands where both are needed', () => {
    const knows = { director: { ...ALL, timestamp: 6 }, images: { ...ALL, targets: 7 } };
    expect(behind(knows, own)).toEqual({
      what: 'Director Timestamp 6 (4 here), image Targets 7 (2 here)',
      wayOut: 'can-ota server restored, and can-ota release push',
    });
  });

  it('is none that knows as much or more, that is not told, or that has no image repository', () => {
    expect(behind(own, own)).toBeUndefined();
    expect(behind({ director: { root: 1 }, images: { root: 1 } }, own)).toBeUndefined();
    expect(behind(undefined, own)).toBeUndefined();
    const knows = { director: ALL, images: { ...ALL, targets: 9 } };
    expect(behind(knows, { director: ALL, images: undefined })).toBeUndefined();
  });
});
