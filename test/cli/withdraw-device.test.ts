// `can-ota release withdraw-device`: the message for each answer of the backend.

import { describe, expect, it } from 'vitest';
import { withdraw } from '../../src/cli/release/withdraw-device.ts';
import type { WithdrawReply } from '../../src/signing/release-backend.ts';

const WISH = { model: 'PUMP-1', version: '1.1.0', profile: 'default', reason: 'a fault' } as const;
const REPLY: WithdrawReply = {
  model: 'PUMP-1',
  version: '1.1.0',
  profile: 'default',
  ...{ counter: 2, length: 1024, sha256: '00'.repeat(32), key_id: '11'.repeat(32) },
  ...{ released_by: 'tool', released_at: '2025-12-01T00:00:00.000Z' },
  withdrawn: { by: 'anna', at: '2026-01-01T00:00:00.000Z', reason: 'a fault' },
  changed: true,
  stopped: ['CO-000001', 'CO-000002'],
  offered: { version: '1.0.5', counter: 1 },
};

async function said(
  reply: Partial<WithdrawReply>,
  reason: string = WISH.reason,
): Promise<string[]> {
  const lines: string[] = [];
  const context = { say: (line: string) => void lines.push(line), emit: () => {} };
  const backend = { withdrawPackage: async () => ({ ...REPLY, ...reply }) };
  await withdraw({ context, backend }, { ...WISH, reason });
  return lines;
}

describe('release withdraw-device', () => {
  it('says what was stopped and what is offered now', async () => {
    expect(await said({})).toEqual([
      'PUMP-1 1.1.0 is withdrawn; 2 downloads of it were stopped',
      'Offered to PUMP-1 now: 1.0.5, counter 1. Devices that run a higher counter keep what they run.',
    ]);
    expect((await said({ offered: null }))[1]).toMatch(/^No package is offered to PUMP-1 now/);
  });

  it('is no error when it was done before', async () => {
    const [line] = await said({ changed: false, stopped: [] });
    expect(line).toBe(
      'PUMP-1 1.1.0 was withdrawn already, by anna at 2026-01-01T00:00:00.000Z: a fault',
    );
  });

  it('wants a reason', async () => {
    await expect(said({}, '  ')).rejects.toThrow(/--reason: is empty: say why/);
  });
});
