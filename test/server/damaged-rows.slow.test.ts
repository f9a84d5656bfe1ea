// A database that another program has changed: the error names table and column, the server goes on, and what is repaired works.

import { describe, expect, it } from 'vitest';
import type { Logger } from '../../src/core/logger.ts';
import { InjectedBackend } from './injected-support.ts';
import { bearer, VIN } from './trust-support.ts';

function listeningLogger(): { readonly logger: Logger; readonly errors: string[] } {
  const errors: string[] = [];
  const note = (fields: object): void => {
    errors.push(JSON.stringify(fields));
  };
  const silent = (): void => {};
  return { logger: { debug: silent, info: silent, warn: silent, error: note }, errors };
}

/** What is written, who asks for it, and the column that the log names. */
const DAMAGES = [
  {
    column: 'table devices, column status',
    damage: "update devices set status = 'lost'",
    repair: "update devices set status = 'active'",
  },
  {
    column: 'table devices, column is_primary',
    damage: 'update devices set is_primary = 7 where is_primary = 1',
    repair: 'update devices set is_primary = 1 where is_primary = 7',
  },
  {
    column: 'table devices, column updated_at',
    damage: "update devices set updated_at = 'yesterday'",
    repair: "update devices set updated_at = '2026-01-01T00:00:00.000Z'",
  },
] as const;

describe('a damaged row', () => {
  it.each(DAMAGES)('is named: $column', async ({ column, damage, repair }) => {
    const { logger, errors } = listeningLogger();
    const backend = await InjectedBackend.start({ logger });
    const vehicle = await backend.vehicle();
    expect((await vehicle.get('/latest_version')).status).toBe(200);

    backend.database.exec(damage);
    const refused = await vehicle.get('/latest_version');
    expect([refused.status, refused.json.code]).toEqual([500, 'INTERNAL']);
    // Nothing of the database is told to the one who asks.
    expect(refused.text).not.toContain('devices');
    expect(errors.join('\n')).toContain(column);
    expect(errors.join('\n')).toContain('Restore the data folder');
    expect((await backend.request('/healthz')).status).toBe(200);

    backend.database.exec(repair);
    expect((await vehicle.get('/latest_version')).status).toBe(200);
  });

  it('is named where JSON inside of a column is damaged', async () => {
    const { logger, errors } = listeningLogger();
    const backend = await InjectedBackend.start({ logger });
    await backend.vehicle();
    const headers = { ...bearer(backend.operator), 'Content-Type': 'application/json' };
    const put = await backend.request(`/config/${VIN}`, {
      method: 'PUT',
      headers,
      body: JSON.stringify({ parameters: { pollInterval: 5 } }),
    });
    expect(put.status).toBe(200);
    backend.database.exec(`update configurations set parameters = '{"pollInterval":'`);
    const reply = await backend.request(`/config/${VIN}`, { headers: bearer(backend.operator) });
    expect(reply.status).toBe(500);
    expect(errors.join('\n')).toContain('table configurations, column parameters: expected JSON');
  });

  it('stops a server at its start with a sentence', async () => {
    const backend = await InjectedBackend.start();
    await backend.upload(new Uint8Array(1024).fill(7));
    backend.database.exec('update releases set size = -1');
    await expect(backend.restart()).rejects.toThrow(
      /table releases, column size: .*Restore the data folder/,
    );
  });
});
