// Who approved a campaign that asked in two phases: the driver counts most, then that no driver was asked at all.

import { expect, it } from 'vitest';
import { APPROVED_BY } from '../../src/campaign/event.ts';
import { historyOf } from '../../src/campaign/history.ts';
import { answered, downloads, offeredWith } from './support.ts';

const RANK = ['policy', 'forced', 'driver'] as const;

it.each(APPROVED_BY.flatMap((first) => APPROVED_BY.map((second) => [first, second] as const)))(
  '%s, then %s',
  (first, second) => {
    const events = [
      offeredWith({ asks: ['download'] }),
      answered({ kind: 'approved' }, 'download', first),
      ...downloads,
      answered({ kind: 'approved' }, 'install', second),
    ];
    const records = events.map((event, sequence) => ({ sequence, wallMs: 0, event }));
    const most = RANK[Math.max(RANK.indexOf(first), RANK.indexOf(second))];
    expect(historyOf(records)).toMatchObject([{ approvedBy: most }]);
  },
);
