// Campaigns under way: what vehicles tell of them, cancelling with its one answer, and outcomes that are reported once.

import { describe, expect, it } from 'vitest';
import { addToken } from '../../server/features/registry/tool-commands.ts';
import { type Backend, type Client, json, type Reply, startBackend } from './support.ts';
import { bearer, startSigned, TestVehicle } from './trust-support.ts';

const VIN = 'VIN1';
const HTML = { Accept: 'text/html' };

function tell(backend: Backend, state: string, more: object = {}): Promise<Reply> {
  return backend.request('/vehicle/campaign', json({ vin: VIN, campaign: 'c1', state, ...more }));
}

function cancel(client: Client, reason = 'it is withdrawn', vin = VIN): Promise<Reply> {
  return client.request(`/vehicles/${vin}/cancel`, {
    ...json({ reason }),
    headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': client.csrfToken },
  });
}

function report(backend: Backend, outcome: string, more: object = {}): Promise<Reply> {
  const ecus = [{ name: 'EDT', from: '1', version: '2' }];
  return backend.request(
    '/report_versions',
    json({ vin: VIN, outcome, campaign: 'c1', ecus, ...more }),
  );
}

async function actions(client: Client, text: string): Promise<string[]> {
  const { entries } = (await client.request(`/audit?q=${text}`)).json;
  return entries.map((entry: { action: string; who: string; detail: string }) =>
    [entry.action, entry.who, entry.detail].join(' '),
  );
}

const answerTo = (reply: Reply, accepted: boolean, reason = ''): object => ({
  answer: { order: reply.json.order, accepted, reason },
});

describe('POST /vehicle/campaign', () => {
  it('has no orders for a vehicle that nobody wants to stop, and shows where it is', async () => {
    const backend = await startBackend();
    const anna = await backend.login();
    expect((await tell(backend, 'downloading')).json).toEqual({ cancel: null });
    await tell(backend, 'staging');
    const { campaign, orders } = (await anna.request(`/vehicles/${VIN}/campaign`)).json;
    expect(campaign).toMatchObject({ vin: VIN, campaign: 'c1', state: 'staging' });
    expect(campaign.endedAt).toBeUndefined();
    expect(orders).toEqual([]);
    const page = (await anna.request(`/vehicles?vin=${VIN}`, { headers: HTML })).text;
    expect(page).toContain('Campaign under way');
    expect(page).toContain(`action="/vehicles/${VIN}/cancel"`);
    const all = (await anna.request('/vehicles', { headers: HTML })).text;
    expect(all).toContain('Campaigns under way');
  });

  it('refuses what is no status, and the campaign of another vehicle', async () => {
    const backend = await startSigned();
    const vehicle = await TestVehicle.provisioned(backend);
    const post = (body: object) => vehicle.send('/vehicle/campaign', body);
    const status = { vin: vehicle.vin, campaign: 'c1', state: 'staging' };
    expect((await post(status)).status).toBe(200);
    const foreign = await post({ ...status, vin: 'OTHER' });
    expect([foreign.status, foreign.json.code]).toEqual([403, 'FOREIGN_VEHICLE']);
    for (const wrong of [
      { campaign: '' },
      { state: 'Not A State' },
      { vin: '../x' },
      { answer: { order: 'x' } },
      { answer: { order: 'x', accepted: 'yes', reason: '' } },
    ]) {
      const reply = await post({ ...status, ...wrong });
      expect([reply.status, reply.json.code], JSON.stringify(wrong)).toEqual([400, 'BAD_FIELD']);
    }
    const anonymous = await backend.request('/vehicle/campaign', json(status));
    expect([anonymous.status, anonymous.json.code]).toEqual([401, 'DEVICE_REFUSED']);
  });

  it('forgets the oldest campaigns of a vehicle that begins one after the other', async () => {
    const backend = await startBackend();
    for (let number = 0; number < 30; number++) {
      await tell(backend, 'staging', { campaign: `c${number}` });
    }
    const anna = await backend.login();
    const last = async (): Promise<string> =>
      (await anna.request(`/vehicles/${VIN}/campaign`)).json.campaign.campaign;
    await tell(backend, 'staging', { campaign: 'c10' });
    expect(await last()).toBe('c29'); // the twenty newest are known, so none of them begins
    await tell(backend, 'staging', { campaign: 'c9' });
    expect(await last()).toBe('c9'); // forgotten, so it began again
  });
});

describe('cancelling', () => {
  it('reaches the vehicle until that has answered, once, and shows the answer', async () => {
    const backend = await startBackend();
    const anna = await backend.login();
    await tell(backend, 'staging');
    const ordered = await cancel(anna);
    expect(ordered.status).toBe(202);
    expect(ordered.json).toMatchObject({
      ...{ vin: VIN, campaign: 'c1', by: 'anna', reason: 'it is withdrawn' },
      ...{ state: 'open', answer: null, created: true },
    });
    const again = await cancel(anna, 'another reason');
    expect([again.status, again.json.order, again.json.created]).toEqual([
      200,
      ordered.json.order,
      false,
    ]);
    const { order } = ordered.json;
    const told = { cancel: { order, by: 'anna', reason: 'it is withdrawn' } };
    for (let round = 0; round < 2; round++) {
      expect((await tell(backend, 'staging')).json).toEqual(told);
    }
    const waiting = (await anna.request(`/vehicles?vin=${VIN}`, { headers: HTML })).text;
    expect(waiting).toContain('the vehicle has not answered yet');
    expect(waiting).not.toContain('Cancel the campaign');

    const yes = answerTo(ordered, true, 'nothing was switched yet');
    expect((await tell(backend, 'rolling-back', yes)).json).toEqual({ cancel: null });
    // The vehicle did not hear that we heard; and a second answer changes nothing.
    await tell(backend, 'rolling-back', yes);
    await tell(backend, 'rolling-back', answerTo(ordered, false, 'no'));
    const { orders } = (await anna.request(`/vehicles/${VIN}/campaign`)).json;
    expect(orders).toMatchObject([
      { order, state: 'accepted', answer: 'nothing was switched yet', by: 'anna' },
    ]);
    expect((await cancel(anna)).json).toMatchObject({ order, state: 'accepted', created: false });
    const page = (await anna.request(`/vehicles?vin=${VIN}`, { headers: HTML })).text;
    expect(page).toMatch(/accepted<\/strong> by the vehicle[\s\S]*nothing was switched yet/);
    expect(await actions(anna, 'cancel.')).toEqual([
      `cancel.answered ${VIN} accepted: nothing was switched yet`,
      `cancel.ordered anna ${VIN}, campaign c1: it is withdrawn`,
    ]);
  });

  it('can be tried again when the vehicle has refused, and the page says why it did', async () => {
    const backend = await startBackend();
    const anna = await backend.login();
    await tell(backend, 'activating');
    const first = await cancel(anna);
    await tell(backend, 'activating', answerTo(first, false, 'it has begun to switch'));
    const page = (await anna.request(`/vehicles?vin=${VIN}`, { headers: HTML })).text;
    expect(page).toMatch(/refused<\/strong> by the vehicle[\s\S]*it has begun to switch/);
    expect(page).toContain('Cancel the campaign');
    const second = await cancel(anna);
    expect(second.status).toBe(202);
    expect(second.json.order).not.toBe(first.json.order);
  });

  it('is for the campaign that was under way, and for no later one', async () => {
    const backend = await startBackend();
    const anna = await backend.login();
    await tell(backend, 'staging');
    const ordered = await cancel(anna);
    expect((await tell(backend, 'staging', { campaign: 'c2' })).json).toEqual({ cancel: null });
    // An answer that was delayed is heard all the same, and the older campaign does not come back.
    await tell(backend, 'staging', answerTo(ordered, true));
    const { campaign, orders } = (await anna.request(`/vehicles/${VIN}/campaign`)).json;
    expect(campaign.campaign).toBe('c2');
    expect(orders).toMatchObject([{ campaign: 'c1', state: 'accepted' }]);
  });

  it('takes no answer of another vehicle', async () => {
    const backend = await startBackend();
    const anna = await backend.login();
    await tell(backend, 'staging');
    const ordered = await cancel(anna);
    await tell(backend, 'staging', { vin: 'VIN2', ...answerTo(ordered, false) });
    const { orders } = (await anna.request(`/vehicles/${VIN}/campaign`)).json;
    expect(orders).toMatchObject([{ state: 'open' }]);
  });

  it('refuses where nothing is under way, and says what there was', async () => {
    const backend = await startBackend();
    const anna = await backend.login();
    const never = await cancel(anna);
    expect([never.status, never.json.code]).toEqual([409, 'NO_CAMPAIGN']);
    expect(never.json.detail).toContain('has told of no campaign');
    await tell(backend, 'staging');
    await report(backend, 'SUCCESS');
    const over = await cancel(anna);
    expect([over.status, over.json.code]).toEqual([409, 'NO_CAMPAIGN']);
    expect(over.json.detail).toMatch(/ended .* with SUCCESS/);
    // A message from before, which took its time.
    await tell(backend, 'committing');
    expect((await cancel(anna)).status).toBe(409);
    const page = (await anna.request(`/vehicles?vin=${VIN}`, { headers: HTML })).text;
    expect(page).toContain('Last campaign');
    expect(page).not.toContain('Cancel the campaign');
  });

  it('is possible while the way back is tried again', async () => {
    const backend = await startBackend();
    const anna = await backend.login();
    await report(backend, 'ROLLBACK_FAILED');
    expect((await cancel(anna)).status).toBe(202);
    await report(backend, 'ROLLBACK_COMPLETED', { code: 'RECOVERED' });
    expect((await cancel(anna)).status).toBe(409);
  });

  it('works from the form of the page, without any script', async () => {
    const backend = await startBackend();
    const anna = await backend.login();
    await tell(backend, 'staging');
    const page = (await anna.request(`/vehicles?vin=${VIN}`, { headers: HTML })).text;
    const csrf =
      /action="\/vehicles\/VIN1\/cancel">\s*<input type="hidden" name="_csrf" value="([^"]+)"/;
    const send = (fields: Record<string, string>): Promise<Reply> =>
      backend.request(`/vehicles/${VIN}/cancel`, {
        method: 'POST',
        body: new URLSearchParams(fields).toString(),
        headers: {
          ...HTML,
          Cookie: anna.cookie,
          'Content-Type': 'application/x-www-form-urlencoded',
        },
      });
    const _csrf = csrf.exec(page)![1]!;
    expect((await send({ _csrf: 'x', reason: 'why' })).status).toBe(403);
    expect((await send({ reason: 'why' })).status).toBe(403);
    expect((await send({ _csrf, reason: ' ' })).status).toBe(400);
    const done = await send({ _csrf, reason: 'a <b>fault</b>' });
    expect([done.status, done.headers.location]).toEqual([303, `/vehicles?vin=${VIN}#campaign`]);
    const after = (await anna.request(`/vehicles?vin=${VIN}`, { headers: HTML })).text;
    expect(after).toContain('a &lt;b&gt;fault&lt;/b&gt;');
  });

  it('is for administrators, and for tokens of the roles operator and release', async () => {
    const backend = await startBackend();
    await tell(backend, 'staging');
    const vera = await backend.login('vera');
    const looks = (await vera.request(`/vehicles?vin=${VIN}`, { headers: HTML })).text;
    expect(looks).toContain('Campaign under way');
    expect(looks).not.toContain('Cancel the campaign');
    expect((await vera.request(`/vehicles/${VIN}/campaign`)).status).toBe(200);
    const viewer = await cancel(vera);
    expect([viewer.status, viewer.json.code]).toEqual([403, 'ROLE']);
    const anna = await backend.login();
    const withoutToken = await cancel({ ...anna, csrfToken: '' });
    expect([withoutToken.status, withoutToken.json.code]).toEqual([403, 'CSRF']);
    const nobody = await backend.request(`/vehicles/${VIN}/cancel`, json({ reason: 'x' }));
    expect([nobody.status, nobody.json.code]).toEqual([401, 'LOGIN_REQUIRED']);
    expect((await backend.request(`/vehicles/${VIN}/campaign`)).status).toBe(401);
    const orders: string[] = [];
    for (const role of ['operator', 'release', 'factory', 'director']) {
      const token = bearer(await addToken(backend.dataDir, `a-${role}`, role));
      const reply = await backend.request(`/vehicles/${VIN}/cancel`, {
        ...json({ reason: role }),
        headers: { 'Content-Type': 'application/json', ...token },
      });
      orders.push(`${role} ${reply.status} ${reply.json.by ?? reply.json.code}`);
      const look = await backend.request(`/vehicles/${VIN}/campaign`, { headers: token });
      expect(look.status).toBe(reply.status < 300 ? 200 : 403);
    }
    expect(orders).toEqual([
      'operator 202 a-operator',
      'release 200 a-operator',
      'factory 403 ROLE',
      'director 403 ROLE',
    ]);
  });
});

describe('an outcome', () => {
  it('that is reported twice is one report', async () => {
    const backend = await startBackend();
    const anna = await backend.login();
    for (let round = 0; round < 3; round++) {
      const more = { code: round === 0 ? null : 'LATER', reason: `round ${round}` };
      expect((await report(backend, 'SUCCESS', more)).status).toBe(204);
    }
    await Promise.all([1, 2, 3].map(() => report(backend, 'SUCCESS', { campaign: 'c2' })));
    await report(backend, 'SUCCESS', { vin: 'VIN2' });
    const { reports } = (await anna.request(`/vehicles?vin=${VIN}`)).json;
    expect(reports.map(({ campaign }: { campaign: string }) => campaign)).toEqual(['c2', 'c1']);
    expect(await actions(anna, 'report')).toHaveLength(3);
  });

  it('without a campaign is a report each time', async () => {
    const backend = await startBackend();
    for (let round = 0; round < 2; round++) {
      await report(backend, 'UP_TO_DATE', { campaign: null });
    }
    const { reports } = (await (await backend.login()).request(`/vehicles?vin=${VIN}`)).json;
    expect(reports).toHaveLength(2);
  });

  it('may be followed by a second one: the way back failed, and came to its end later', async () => {
    const backend = await startBackend();
    const anna = await backend.login();
    const ecus = [
      { name: 'EDT', from: '1', version: '2', error: 'it does not answer' },
      { name: 'INV', from: '1', version: '1' },
    ];
    const failed = { ecus, reason: 'EDT cannot be taken back', warnings: ['INV was <slow>'] };
    await report(backend, 'ROLLBACK_FAILED', failed);
    await report(backend, 'ROLLBACK_FAILED', failed);
    const mixed = (await anna.request(`/vehicles?vin=${VIN}`, { headers: HTML })).text;
    expect(mixed).toContain('<strong>Mixed state:</strong>');
    expect(mixed).toContain('EDT 2, INV 1.');
    expect(mixed).toContain('INV was &lt;slow&gt;');
    expect(mixed).toContain('notes fault">it does not answer');
    expect(mixed).toMatch(/class="card alarm" id="campaign"/);
    await report(backend, 'ROLLBACK_COMPLETED', { code: 'RECOVERED' });
    const { reports } = (await anna.request(`/vehicles?vin=${VIN}`)).json;
    expect(reports).toMatchObject([
      { outcome: 'ROLLBACK_COMPLETED', code: 'RECOVERED', warnings: [] },
      { outcome: 'ROLLBACK_FAILED', warnings: ['INV was <slow>'], ecus },
    ]);
    const over = (await anna.request(`/vehicles?vin=${VIN}`, { headers: HTML })).text;
    expect(over).toContain('<span class="tag good">RECOVERED</span>');
    expect(over).not.toMatch(/class="card alarm" id="campaign"/);
  });
});

it('a forced release is marked as a safety release, and a viewer sees it', async () => {
  const backend = await startSigned();
  await backend.publish(Buffer.from('safe'), { forced: true });
  await backend.publish(Buffer.from('usual'), { ecu: 'INV' });
  const vera = await backend.login('vera');
  const { releases } = (await vera.request('/')).json;
  const marked = releases.map(({ ecu, forced }: { ecu: string; forced: boolean }) => [ecu, forced]);
  expect(Object.fromEntries(marked)).toEqual({ EDT: true, INV: false });
  const page = (await vera.request('/', { headers: HTML })).text;
  expect(page.match(/safety release/g)).toHaveLength(1);
});

describe('POST /vehicles/<vin>/ask-again', () => {
  const order = (backend: Backend, headers: Record<string, string>): Promise<Reply> =>
    backend.request(`/vehicles/${VIN}/ask-again`, {
      ...json({ reason: 'the driver called' }),
      headers: { 'Content-Type': 'application/json', ...headers },
    });

  it('is heard by the vehicle that names the refused campaign, until there is another one', async () => {
    const backend = await startBackend();
    const token = await addToken(backend.dataDir, 'ops', 'operator');
    const nothing = await order(backend, bearer(token));
    expect([nothing.status, nothing.json.code]).toEqual([409, 'NO_REFUSAL']);
    await tell(backend, 'awaiting-approval');
    expect((await order(backend, bearer(token))).json.detail).toContain('is under way');
    await report(backend, 'USER_REJECTED', { code: 'DENIED' });
    expect((await tell(backend, 'refused')).json).toEqual({ cancel: null, askAgain: null });
    const ordered = await order(backend, bearer(token));
    expect([ordered.status, ordered.json]).toMatchObject([
      202,
      { vin: VIN, campaign: 'c1', by: 'ops', created: true },
    ]);
    expect((await order(backend, bearer(token))).status).toBe(200);
    expect((await tell(backend, 'refused')).json).toEqual({
      cancel: null,
      askAgain: { by: 'ops', reason: 'the driver called' },
    });
    // A question about it is no news of the campaign, which has ended.
    await tell(backend, 'staging', { campaign: 'c2' });
    await report(backend, 'DEFERRED', { campaign: 'c2', code: 'LATER' });
    expect((await tell(backend, 'refused', { campaign: 'c2' })).json.askAgain).toBeNull();
    expect(
      (await tell(backend, 'refused', { campaign: 'never heard of' })).json.askAgain,
    ).toBeNull();
    const anna = await backend.login();
    expect(await actions(anna, 'ask.ordered')).toEqual([
      `ask.ordered ops ${VIN}, campaign c1: the driver called`,
    ]);
    expect((await anna.request(`/vehicles/${VIN}/campaign`)).json.campaign.campaign).toBe('c2');
  });

  it('is refused from strangers, viewers, and tokens of other roles', async () => {
    const backend = await startBackend();
    const factory = await addToken(backend.dataDir, 'line', 'factory');
    expect((await order(backend, {})).status).toBe(401);
    expect((await order(backend, bearer(factory))).status).toBe(403);
    const vera = await backend.login('vera');
    expect((await order(backend, { Cookie: vera.cookie })).json.code).toBe('ROLE');
    const anna = await backend.login();
    expect((await order(backend, { Cookie: anna.cookie })).json.code).toBe('CSRF');
  });
});
