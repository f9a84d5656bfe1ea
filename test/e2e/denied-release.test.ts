// The driver denied a release: `can-ota status` says so, and driver and operator can order a new question.

import path from 'node:path';
import { describe, expect } from 'vitest';
import { DocsPage } from './support/docs-page.ts';
import { run, scenario } from './support/processes.ts';
import { cycle, image, outcomeOf, startTmu, TestFactory } from './support/vehicle.ts';

const QUESTION = /answer within/;

describe('a denied release', () => {
  scenario('is told by status, and asked again by the word of driver or operator', async () => {
    const factory = await TestFactory.open(['CGW', 'EDT']);
    const backend = await factory.backend();
    const page = await DocsPage.open('operations/denied-release');
    const { url } = backend;
    const state = await factory.state();
    await page.use('state', state);
    await page.use('ceremony', path.join(backend.home, 'keys'));
    const token = await backend.tokenFile();
    await page.use('release.token', token);
    await page.use('operator.token', token);
    const vehicle = await factory.vehicle({ approve: 'ask' });
    const cgw = vehicle.ecu('CGW');
    const questions = (): number => cgw.lines.filter((line) => QUESTION.test(line)).length;
    const nothing = await page.section('The operator has the driver asked again', { url });
    expect(nothing.exit?.code).toBe(8);

    await backend.release(await image('EDT', 20_000));
    const asked = startTmu({ vehicle, server: url, state });
    await cgw.line(QUESTION);
    cgw.type('deny\n');
    await cgw.line(/type "deny" again/);
    cgw.type('deny\n');
    await asked.exited;
    expect(outcomeOf(asked)).toMatchObject({ outcome: 'USER_REJECTED', code: 'DENIED' });
    expect(outcomeOf(await cycle({ vehicle, server: url, state }))).toMatchObject({
      outcome: 'USER_REJECTED',
    });
    expect(questions()).toBe(1);
    const look = await page.does('Look');
    expect(look).toMatch(
      /refused: EDT 2\.0\.0, denied by the driver at .*not asked again automatically/,
    );
    expect(look).toMatch(/"code":"DENIED".*"askedNext":null/);

    // The operator orders a new question, and the driver puts the release off.
    await page.does('The operator has the driver asked again', { url });
    const again = startTmu({ vehicle, server: url, state });
    await cgw.until(() => questions() === 2, 'a second question');
    cgw.type('later 600\n');
    await again.exited;
    expect(outcomeOf(again)).toMatchObject({ outcome: 'DEFERRED', code: 'LATER' });
    expect(await page.does('Look')).toMatch(/put off by the driver .*asked again after 20/);

    // The driver types "now".
    cgw.type('now\n');
    await cgw.line(/asked again in a moment/);
    const last = startTmu({ vehicle, server: url, state });
    await cgw.until(() => questions() === 3, 'a third question');
    cgw.type('approve\n');
    await last.exited;
    expect(outcomeOf(last)).toMatchObject({ outcome: 'SUCCESS' });
    expect(await vehicle.version('EDT')).toBe('2.0.0');
    const status = await run(['status', '--state-dir', state, '--json']);
    expect(status.last).toMatchObject({ refused: [] });
    await page.does('Withdraw the release', { url });
    page.expectAllTried();
  });
});
