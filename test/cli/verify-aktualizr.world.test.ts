// The profile `aktualizr` of `can-ota verify`: repositories in the layout of that client, in folders and over HTTP.

import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  AKTUALIZR_EXPIRES,
  type AktualizrForm,
  type AktualizrImage,
  AktualizrRepositories,
} from '../support/aktualizr-repositories.ts';
import { mockRepositories } from '../support/mock-repositories.ts';
import {
  cli,
  type InProcess,
  mockFolder,
  serve,
  TIME,
  temporaryFolder,
  verifyPlace,
  writeFiles,
} from './verify-support.ts';

const SERIAL = 'CA:FE:A6:D2:84:9D';
const HARDWARE = 'primary_hw';
const IMAGE: AktualizrImage = { name: 'primary.txt', content: 'primary\n', hardwareId: HARDWARE };

function repositories(form?: AktualizrForm): AktualizrRepositories {
  return new AktualizrRepositories(form).release(IMAGE).assign(SERIAL, IMAGE);
}

/** Both repositories below `repo/`, as aktualizr's generator writes them. */
async function folderOf(both: AktualizrRepositories, into?: string): Promise<string> {
  const folder = into ?? (await temporaryFolder());
  await writeFiles(path.join(folder, 'repo'), both.files());
  return folder;
}

async function verify(both: AktualizrRepositories, folder?: string): Promise<InProcess> {
  const place = await folderOf(both, folder);
  return verifyPlace(
    { director: place, images: place },
    {
      state: path.join(place, 'state'),
      dialect: 'aktualizr',
      vin: undefined,
      ecus: [{ serial: SERIAL, hardwareId: HARDWARE }],
      primary: true,
    },
  );
}

/** The image repository publishes new versions. */
function newer(both: AktualizrRepositories): AktualizrRepositories {
  for (const file of ['repo targets', 'repo snapshot', 'repo timestamp']) both.setVersion(file, 6);
  return both;
}

describe('repositories of aktualizr', () => {
  it.each<[string, AktualizrForm]>([
    ['as its servers send them', { keys: 'ED25519', layout: 'compact' }],
    ['with line breaks in RSA keys', { keys: 'RSA', layout: 'compact' }],
    ['indented, with hashes of the canonical form', { keys: 'ED25519', layout: 'indented' }],
    ['with both', { keys: 'RSA', layout: 'indented' }],
  ])('are verified %s', async (_, form) => {
    const { outcome, trust } = await verify(repositories(form));
    expect(outcome).toMatchObject({
      ok: true,
      value: [{ serial: SERIAL, hardwareId: HARDWARE, name: 'primary.txt', length: 8 }],
    });
    expect(trust.director?.timestamp).toBeUndefined();
  });

  it('are verified by the command over HTTP, with delegated roles in their own folder', async () => {
    const image = { name: 'abc-app', content: 'app', hardwareId: HARDWARE };
    const files = new AktualizrRepositories().delegate('abc', image).assign(SERIAL, image).files();
    const asked: string[] = [];
    const url = await serve((file, response) => {
      asked.push(file);
      const bytes = files.get(file);
      if (bytes === undefined) response.writeHead(404).end();
      else response.end(bytes);
    });
    const run = await cli(
      ...['--director', `${url}/director`, '--images', `${url}/repo`, '--profile', 'aktualizr'],
      ...['--ecu', SERIAL, '--hardware', HARDWARE, ...TIME, '--json'],
      ...['--state', await temporaryFolder()],
    );
    expect(run.json).toMatchObject({
      ...{ ok: true, profile: 'aktualizr', target: { name: 'abc-app' } },
      ...{ director: { root: 1, targets: 1 }, trustedOnFirstUse: ['director', 'images'] },
    });
    expect(run.code).toBe(0);
    expect(asked).toEqual([
      ...['director/1.root.json', 'repo/1.root.json'],
      ...['director/2.root.json', 'director/targets.json'],
      ...['repo/2.root.json', 'repo/timestamp.json', 'repo/snapshot.json', 'repo/targets.json'],
      'repo/delegations/abc.json',
    ]);
  });

  it('may say something new under the same version, when it is signed', async () => {
    const folder = await temporaryFolder();
    const both = repositories();
    expect((await verify(both, folder)).outcome).toMatchObject({ value: [{ name: IMAGE.name }] });
    const other = { ...IMAGE, name: 'other.txt', content: 'other' };
    both.release(other).assign(SERIAL, other).setVersion('repo targets', 2);
    expect((await verify(both, folder)).outcome).toMatchObject({ value: [{ name: other.name }] });
  });

  it('may write hashes in capitals, and name the hardware by ECU in both', async () => {
    const custom = { ecuIdentifiers: { [SERIAL]: { hardwareId: HARDWARE } } };
    const both = repositories().edit('repo targets', (signed) => {
      const listed = (signed.targets as Record<string, { hashes: Record<string, string> }>)[
        IMAGE.name
      ]!;
      const capitals = Object.entries(listed.hashes).map(([name, hash]) => [
        name,
        hash.toUpperCase(),
      ]);
      const target = { ...listed, hashes: Object.fromEntries(capitals), custom };
      return { ...signed, targets: { [IMAGE.name]: target } };
    });
    expect((await verify(both)).outcome).toMatchObject({ ok: true, value: [{ serial: SERIAL }] });
  });

  it('may change their keys', async () => {
    const folder = await temporaryFolder();
    const both = repositories();
    expect((await verify(both, folder)).outcome.ok).toBe(true);
    both.newRoot('director', 'root', 'targets').newRoot('repo', 'root');
    const { outcome, trust } = await verify(both, folder);
    expect(outcome.ok).toBe(true);
    expect(trust.director?.root.version).toBe(2);
  });

  it.each<[string, string, (both: AktualizrRepositories) => unknown]>([
    ['ARBITRARY_SOFTWARE', 'director targets', (both) => both.foreignKey('director targets')],
    ['ARBITRARY_SOFTWARE', 'images targets', (both) => newer(both).foreignKey('repo targets')],
    ['ROLLBACK', 'director targets', (both) => both.setVersion('director targets', 2)],
    ['ROLLBACK', 'images timestamp', (both) => both.setVersion('repo timestamp', 2)],
    [
      'MIX_AND_MATCH',
      'images targets',
      (both) => newer(both).edit('repo targets', (signed) => ({ ...signed, version: 7 })),
    ],
    [
      'UNKNOWN_ECU',
      'director targets',
      (both) => both.assign('another', IMAGE).setVersion('director targets', 6),
    ],
    [
      'MALFORMED',
      'director targets',
      (both) => both.edit('director targets', (signed) => ({ ...signed, _type: 'targets' })),
    ],
  ])('are refused with %s in %s', async (attack, where, lie) => {
    const folder = await temporaryFolder();
    const both = repositories();
    for (const file of ['director targets', 'repo targets', 'repo snapshot', 'repo timestamp']) {
      both.setVersion(file, 5);
    }
    expect((await verify(both, folder)).outcome.ok).toBe(true);
    lie(both);
    expect((await verify(both, folder)).outcome).toMatchObject({ ok: false, code: attack, where });
  });

  it('name all ECUs of a vehicle, as the client is its Primary, unless told otherwise', async () => {
    const both = repositories().assign('another', IMAGE);
    const folder = await folderOf(both);
    const args = [
      ...['--director', folder, '--images', folder, '--profile', 'aktualizr', ...TIME, '--json'],
      ...['--ecu', SERIAL, '--hardware', HARDWARE, '--state', path.join(folder, 'state')],
    ];
    expect((await cli(...args)).json).toMatchObject({ attack: 'UNKNOWN_ECU' });
    expect((await cli(...args, '--no-primary')).code).toBe(0);
    expect((await cli(...args, '--ecu', 'another', '--hardware', HARDWARE)).code).toBe(0);
  });

  it('expire like any other', async () => {
    const folder = await folderOf(repositories());
    const run = await cli(
      ...['--director', folder, '--images', folder, '--profile', 'aktualizr', '--json'],
      ...['--ecu', SERIAL, '--hardware', HARDWARE, '--time', AKTUALIZR_EXPIRES],
      ...['--state', path.join(folder, 'state')],
    );
    expect(run.code).toBe(1);
    expect(run.json).toMatchObject({ attack: 'FREEZE', where: 'director root' });
  });
});

describe('the two profiles', () => {
  it("refuse each other's metadata, and each other's state", async () => {
    const old = await folderOf(repositories());
    const mock = mockRepositories();
    mock.assign(SERIAL, mock.release('EDT', { hardwareIds: [HARDWARE] }));
    const ours = await mockFolder(mock);
    const run = (folder: string, profile: string, state: string) =>
      cli(
        ...['--director', folder, '--images', folder, '--profile', profile, '--state', state],
        ...['--ecu', SERIAL, '--hardware', HARDWARE, ...TIME, '--json'],
      );
    for (const [folder, profile] of [
      [old, 'strict'],
      [ours, 'aktualizr'],
    ] as const) {
      const { code, json } = await run(folder, profile, path.join(folder, `with-${profile}`));
      expect(code).toBe(1);
      expect(json).toMatchObject({ attack: 'MALFORMED', where: 'director root' });
    }
    expect((await run(old, 'aktualizr', path.join(old, 'state'))).code).toBe(0);
    const { code, json } = await run(ours, 'strict', path.join(old, 'state'));
    expect(code).toBe(1);
    expect(json.reason).toContain('the --profile it was kept with');
  });
});
