// The key ceremony: files and their modes, who signs, when a draft is in force, what the backend gets.

import * as fs from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { renew, revoke, rotate, setThreshold } from '../../src/cli/keys/change.ts';
import { acceptFile, signFile } from '../../src/cli/keys/sign.ts';
import { InputError } from '../../src/core/errors.ts';
import { currentRoot } from '../../src/signing/draft.ts';
import { exportOnline } from '../../src/signing/export.ts';
import { KeyFolder, ONLINE_ROLES, parseCard } from '../../src/signing/folder.ts';
import { listing } from '../../src/signing/overview.ts';
import { checkRootChain, RepositoryUpdate, trustRoot } from '../../src/trust/repository.ts';
import { RepositoryWriter } from '../../src/trust/repository-writer.ts';
import { parseSignedRole, roleKeysOf } from '../../src/trust/role-signing.ts';
import { signerFromPem } from '../../src/trust/signing-key.ts';
import {
  begun,
  NOW,
  openWork,
  passphrases,
  type TestWork,
  temporaryFolder,
  workOn,
} from './keys-support.ts';

const DAY_MS = 86_400_000;
const SECRET = 'correct horse battery';

function refusal(promise: Promise<unknown>): Promise<InputError> {
  return promise.then(
    () => expect.unreachable('it was not refused'),
    (error) => {
      expect(error).toBeInstanceOf(InputError);
      return error;
    },
  );
}

function rolesIn(bytes: Uint8Array): Record<string, { threshold: number; keyids: string[] }> {
  return parseSignedRole(bytes).signed.roles as never;
}

async function rootOf(work: TestWork, repository: 'director' | 'images', version: number) {
  return (await work.folder.storage.read(`${repository}/${version}.root.json`))!;
}

describe('keys init', () => {
  it('makes both repositories ready: the verifier follows them with the online keys added', async () => {
    const work = await begun({ rootKeys: 3, rootThreshold: 2 });
    const director = rolesIn(await rootOf(work, 'director', 1));
    expect(Object.keys(director).sort()).toEqual(
      ['root', 'snapshot', 'targets', 'time', 'timestamp'].sort(),
    );
    expect(director.root).toMatchObject({ threshold: 2, keyids: { length: 3 } });
    const images = await work.folder.metadata('images');
    expect([...images.keys()]).toEqual(['1.root.json', '1.targets.json']);

    const out = await temporaryFolder();
    await exportOnline(work.folder, out);
    const online = async (role: string) => [
      signerFromPem(await fs.readFile(path.join(out, 'online', `images-${role}.pem`), 'utf8')),
    ];
    const writer = RepositoryWriter.open(images, {
      signers: { snapshot: await online('snapshot'), timestamp: await online('timestamp') },
    });
    if (!writer.ok) throw new Error(writer.reason);
    await writer.value.publish(NOW);
    const files = writer.value.files();
    const anchor = trustRoot(files.get('1.root.json')!);
    if (!anchor.ok) throw new Error(anchor.reason);
    const update = new RepositoryUpdate(anchor.value, NOW);
    for (let wanted = update.next(); wanted !== undefined; wanted = update.next()) {
      const bytes = files.get(wanted.file);
      const verdict = update.accept(
        bytes === undefined ? { kind: 'missing' } : { kind: 'bytes', bytes },
      );
      expect(verdict).toMatchObject({ ok: true });
    }
    expect(update.trust.targets.get('targets')?.metadata.signed.version).toBe(1);
  });

  it('signs Roots that expire when they were told to', async () => {
    const work = await begun();
    const root = parseSignedRole(await rootOf(work, 'images', 1)).signed;
    expect(Date.parse(root.expires)).toBe(NOW + 100 * DAY_MS);
  });

  it('encrypts the offline keys, and leaves the daemon its own', async () => {
    const work = await begun({}, { secret: SECRET });
    const kept = Object.fromEntries(
      (await work.folder.keys()).map(({ name, kept }) => [name, kept]),
    );
    expect(kept).toMatchObject({
      'director-root': 'encrypted-file',
      'images-root': 'encrypted-file',
      'images-targets': 'encrypted-file',
      'director-targets': 'file',
      'images-timestamp': 'file',
    });
    const wrong = await refusal(
      work.folder.signer(await work.folder.key('images-root'), passphrases('another passphrase')),
    );
    expect(wrong.message).toMatch(/images-root: the passphrase is wrong/);
    const none = await refusal(
      work.folder.signer(await work.folder.key('images-root'), passphrases()),
    );
    expect(none.message).toMatch(/--passphrase-file/);
  });

  it('is done once', async () => {
    const work = await begun();
    const before = await work.folder.metadata('director');
    const choice = { rootKeys: 1, rootThreshold: 1, targetsKeys: 1, targetsThreshold: 1 };
    const { initialise } = await import('../../src/signing/init.ts');
    expect((await refusal(initialise(work, choice))).message).toMatch(/nothing was changed/);
    expect(await work.folder.metadata('director')).toEqual(before);
    const fresh = await openWork();
    const tooMany = await refusal(initialise(fresh, { ...choice, rootThreshold: 2 }));
    expect(tooMany.where).toBe('--root-threshold');
  });
});

describe('key files', () => {
  it('belong to their owner alone, and are refused when others could read them', async () => {
    const work = await begun();
    const file = work.folder.path('private/images-root.pem');
    expect((await fs.stat(file)).mode & 0o777).toBe(0o600);
    expect((await fs.stat(path.dirname(file))).mode & 0o777).toBe(0o700);
    const key = await work.folder.key('images-root');
    for (const mode of [0o640, 0o604, 0o622, 0o601]) {
      await fs.chmod(file, mode);
      const { message } = await refusal(work.folder.signer(key, passphrases()));
      expect(message).toContain(`chmod 600 ${file}`);
    }
    await fs.chmod(file, 0o400);
    expect((await work.folder.signer(key, passphrases())).keyId).toBe(key.keyId);
  });

  it('are never overwritten', async () => {
    const work = await openWork();
    await work.folder.create('alice', 'ed25519', undefined);
    const file = work.folder.path('private/alice.pem');
    const before = await fs.readFile(file, 'utf8');
    expect((await refusal(work.folder.create('alice', 'ed25519', undefined))).where).toBe('alice');
    // Not even when the public half is lost.
    await fs.rm(work.folder.path('public/alice.json'));
    const { message } = await refusal(work.folder.create('alice', 'ed25519', undefined));
    expect(message).toMatch(/never replaced/);
    expect(await fs.readFile(file, 'utf8')).toBe(before);
    expect(await fs.readdir(path.dirname(file))).toEqual(['alice.pem']);
  });

  it.each(['', '../x', 'a/b', '.x', 'x'.repeat(65)])('do not have the name %j', async (name) => {
    const work = await openWork();
    await refusal(work.folder.create(name, 'ed25519', undefined));
    expect(await work.folder.keys()).toEqual([]);
  });

  it('are what their public half says', async () => {
    const work = await openWork();
    const key = await work.folder.create('alice', 'ed25519', undefined);
    await work.folder.create('bob', 'ecdsa-p256', undefined);
    const [alice, bob] = ['alice', 'bob'].map((name) => work.folder.path(`private/${name}.pem`));
    await fs.copyFile(bob!, alice!);
    const { message } = await refusal(work.folder.signer(key, passphrases()));
    expect(message).toMatch(/holds another key/);
    await fs.writeFile(alice!, 'rubbish');
    expect((await refusal(work.folder.signer(key, passphrases()))).message).toMatch(/damaged/);
  });

  it('have one name each', async () => {
    const [one, two] = [await openWork(), await openWork()];
    const { publicKey } = await one.folder.create('alice', 'ed25519', undefined);
    await two.folder.register('ally', publicKey);
    expect((await refusal(two.folder.register('again', publicKey))).message).toMatch(
      /is the key ally/,
    );
    expect((await refusal(two.folder.key('alice'))).message).toMatch(/there are ally/);
    expect(() => parseCard('{"name":"x"}', 'x.json')).toThrow(InputError);
  });

  it('are worked on by one process', async () => {
    const work = await openWork();
    await expect(KeyFolder.open(work.dir)).rejects.toThrow(/works on this folder/);
    await expect(KeyFolder.open(path.join(work.dir, 'none'))).rejects.toThrow(/can-ota keys init/);
  });
});

describe('keys rotate, revoke, threshold', () => {
  it('replaces a key in the next Root, signed as old and new Root want it', async () => {
    const work = await begun({ rootKeys: 2, rootThreshold: 2 });
    await rotate(work, 'director', 'timestamp', {});
    expect(work.last()).toMatchObject({
      state: 'finished',
      version: 2,
      file: 'director/2.root.json',
    });
    const next = await rootOf(work, 'director', 2);
    expect(checkRootChain(await rootOf(work, 'director', 1), next)).toMatchObject({ ok: true });
    expect(rolesIn(next).timestamp!.keyids).toEqual([
      (await work.folder.key('director-timestamp-2')).keyId,
    ]);
    expect(rolesIn(next).root).toEqual(rolesIn(await rootOf(work, 'director', 1)).root);
  });

  it('brings image Targets along when their key goes', async () => {
    const work = await begun();
    await rotate(work, 'images', 'targets', {});
    expect(work.facts).toMatchObject([
      { file: 'images/2.root.json', state: 'finished' },
      { file: 'images/2.targets.json', state: 'finished', signedBy: ['images-targets-2'] },
    ]);
  });

  it('lets a root key that goes sign only where the others are too few', async () => {
    const work = await begun({ rootKeys: 3, rootThreshold: 2 });
    await revoke(work, 'director-root-1');
    expect(work.last()).toMatchObject({
      state: 'finished',
      signedBy: ['director-root-2', 'director-root-3'],
    });
    await rotate(work, 'director', 'root', { old: 'director-root-2' });
    // The old Root needs both of its keys.
    expect(work.last()).toMatchObject({ state: 'finished', version: 3 });
    expect(work.last().signedBy).toEqual(
      expect.arrayContaining(['director-root-2', 'director-root-3', 'director-root-4']),
    );
  });

  it('revokes a key in both repositories', async () => {
    const work = await begun();
    const { publicKey, keyId } = await work.folder.create('both', 'ed25519', undefined);
    for (const repository of ['director', 'images']) {
      await setThreshold(work, repository, 'root', 1, ['both']);
    }
    await revoke(work, 'both');
    for (const repository of ['director', 'images'] as const) {
      const root = await currentRoot(work.folder, repository);
      expect(root?.signed.version).toBe(3);
      expect(Object.keys(root?.signed.keys as object)).not.toContain(keyId);
      expect(roleKeysOf(root!.signed, 'root')!.keys).not.toContainEqual(publicKey);
    }
    expect((await refusal(revoke(work, 'both'))).message).toMatch(/nothing to revoke/);
  });

  it('refuses what could never be signed', async () => {
    const work = await begun();
    const last = await refusal(revoke(work, 'images-targets'));
    expect(last.message).toMatch(/images targets: a threshold of 1 with 0 keys cannot be met/);
    expect((await refusal(setThreshold(work, 'images', 'root', 2))).message).toMatch(
      /cannot be met/,
    );
    expect((await refusal(rotate(work, 'images', 'time', {}))).message).toMatch(
      /no role of images/,
    );
    expect((await refusal(rotate(work, 'image', 'root', {}))).message).toMatch(
      /director or images/,
    );
    const twice = rotate(work, 'images', 'root', { new: 'images-root' });
    expect((await refusal(twice)).message).toMatch(/has this role already/);
    const stranger = rotate(work, 'images', 'root', { old: 'images-targets' });
    expect((await refusal(stranger)).message).toMatch(/does not sign images root/);
    expect(await work.folder.versions('images', 'root')).toEqual([1]);
  });

  it('asks which one, where there are several', async () => {
    const work = await begun({ rootKeys: 2, rootThreshold: 1 });
    expect((await refusal(rotate(work, 'images', 'root', {}))).where).toBe('--old');
  });
});

describe('signing by several people', () => {
  /** Alice holds the folder; Bob and Carol each have a folder of their own. */
  async function threePeople() {
    const work = await begun();
    const others: Record<string, TestWork> = {};
    for (const name of ['bob', 'carol']) {
      const other = await openWork({ signWith: [name] });
      const { publicKey } = await other.folder.create(name, 'ed25519', undefined);
      await work.folder.register(name, publicKey);
      others[name] = other;
    }
    return { work, bob: others.bob!, carol: others.carol! };
  }

  /** The files that are passed from one person to the next on a USB stick. */
  async function stickWith(work: TestWork, draft: string): Promise<string> {
    const stick = path.join(await temporaryFolder(), 'draft.json');
    await fs.copyFile(work.folder.path(draft), stick);
    return stick;
  }

  it('collects signatures until the old and the new threshold are met', async () => {
    const { work, bob, carol } = await threePeople();
    await setThreshold(work, 'images', 'root', 3, ['bob', 'carol']);
    const draft = 'drafts/images-2.root.json';
    expect(work.last()).toMatchObject({
      state: 'draft',
      file: draft,
      needs: [
        { by: 'Root 1', missing: 0 },
        { by: 'Root 2', missing: 2, unsigned: ['bob', 'carol'] },
      ],
    });
    expect(work.said.join('\n')).toMatch(/Root 2 wants 2 more signatures of: bob, carol/);
    const stick = await stickWith(work, draft);
    await signFile(bob, stick, ['bob']);
    expect(bob.said.join(' ')).toMatch(/root version 2.*root: 3 of 3.*hand .* back/);
    await signFile(carol, stick, ['carol']);
    await acceptFile(workOn(work.folder, { signWith: [] }), stick);
    expect(await work.folder.versions('images', 'root')).toEqual([1, 2]);
    expect(await work.folder.storage.list('drafts')).toEqual([]);
    const chain = checkRootChain(await rootOf(work, 'images', 1), await rootOf(work, 'images', 2));
    expect(chain).toMatchObject({ ok: true });
  });

  it('takes over signatures of two copies that were signed at the same time', async () => {
    const { work, bob, carol } = await threePeople();
    await setThreshold(work, 'images', 'targets', 3, ['bob', 'carol']);
    const draft = 'drafts/images-2.targets.json';
    expect(work.last()).toMatchObject({ file: draft, state: 'draft' });
    const [one, two] = [await stickWith(work, draft), await stickWith(work, draft)];
    await signFile(bob, one, ['bob']);
    await signFile(carol, two, ['carol']);
    const accepting = workOn(work.folder, { signWith: [] });
    await acceptFile(accepting, one);
    expect(accepting.last()).toMatchObject({ state: 'draft', needs: [{ missing: 1 }] });
    await acceptFile(accepting, two);
    expect(accepting.last()).toMatchObject({ state: 'finished', file: 'images/2.targets.json' });
  });

  it('does not take a copy whose content was changed on the way, or a signature that is wrong', async () => {
    const { work, bob } = await threePeople();
    await setThreshold(work, 'images', 'targets', 2, ['bob']);
    const draft = 'drafts/images-2.targets.json';
    const stick = await stickWith(work, draft);
    await signFile(bob, stick, ['bob']);
    const signed = JSON.parse(await fs.readFile(stick, 'utf8'));
    const accepting = workOn(work.folder, { signWith: [] });
    const changed = { ...signed, signed: { ...signed.signed, version: 7 } };
    await fs.writeFile(stick, JSON.stringify(changed));
    expect((await refusal(acceptFile(accepting, stick))).message).toMatch(/none of the drafts/);
    for (const signature of signed.signatures) signature.sig = signature.sig.replace(/^../, '00');
    await fs.writeFile(stick, JSON.stringify(signed));
    await acceptFile(accepting, stick);
    expect(accepting.last()).toMatchObject({ state: 'draft', needs: [{ missing: 1 }] });
    expect(await work.folder.versions('images', 'targets')).toEqual([1]);
  });

  it('leaves out signatures that count for nothing', async () => {
    const { work, bob, carol } = await threePeople();
    await setThreshold(work, 'images', 'targets', 2, ['bob']);
    const stick = await stickWith(work, 'drafts/images-2.targets.json');
    await signFile(carol, stick, ['carol']);
    await signFile(bob, stick, ['bob']);
    await acceptFile(workOn(work.folder, { signWith: [] }), stick);
    const file = await work.folder.storage.read('images/2.targets.json');
    expect(parseSignedRole(file!).signatures).toHaveLength(2);
  });

  it('starts again for those who signed before a draft changed', async () => {
    const { work } = await threePeople();
    await setThreshold(work, 'images', 'root', 2, ['bob']);
    await setThreshold(work, 'images', 'root', 2, ['carol']);
    expect(work.last()).toMatchObject({ version: 2, state: 'draft', dropped: 1 });
    const draft = await work.folder.storage.read('drafts/images-2.root.json');
    expect(rolesIn(draft!).root!.keyids).toHaveLength(3);
  });

  it('refuses a key that has no say, and leaves keys of others to them', async () => {
    const { work } = await threePeople();
    await setThreshold(work, 'images', 'root', 2, ['bob']);
    const draft = work.folder.path('drafts/images-2.root.json');
    const named = (name: string) => workOn(work.folder, { signWith: [name] });
    const foreign = await refusal(signFile(named('bob'), draft, ['bob']));
    expect(foreign.message).toMatch(/bob: its private key is not in this folder/);
    const useless = await refusal(signFile(named('director-root'), draft, ['director-root']));
    expect(useless.message).toMatch(/no Root names this key/);
  });

  it('skips an encrypted key that this passphrase does not open, and says so', async () => {
    const work = await begun({ rootKeys: 2, rootThreshold: 2 }, { secret: SECRET });
    const other = workOn(work.folder, { secret: 'not the passphrase' });
    await rotate(other, 'images', 'snapshot', {});
    expect(other.last()).toMatchObject({
      state: 'draft',
      signedBy: [],
      skipped: ['images-root-1', 'images-root-2'],
    });
    expect(other.said.join('\n')).toMatch(/did not sign: images-root-1: the passphrase is wrong/);
    const silent = workOn(work.folder);
    await rotate(silent, 'director', 'snapshot', {});
    expect(silent.last()).toMatchObject({ state: 'draft', skipped: { length: 2 } });
    expect(silent.said.join('\n')).toMatch(/did not sign: director-root-1: the key is encrypted/);
  });
});

describe('keys refresh and list', () => {
  it('signs what is about to expire, and nothing else', async () => {
    const work = await begun();
    await renew(work, 30);
    expect(work.said).toEqual(['nothing expires within 30 days']);
    const later = workOn(work.folder, { nowMs: NOW + 71 * DAY_MS });
    await renew(later, 30);
    expect(later.facts.map(({ file }) => file)).toEqual([
      'director/2.root.json',
      'images/2.root.json',
      'images/2.targets.json',
    ]);
    const root = parseSignedRole(await rootOf(work, 'director', 2)).signed;
    expect(Date.parse(root.expires)).toBe(NOW + 171 * DAY_MS);
    expect(root.roles).toEqual(rolesIn(await rootOf(work, 'director', 1)));
  });

  it('revives what has expired already', async () => {
    const work = await begun();
    const late = workOn(work.folder, { nowMs: NOW + 500 * DAY_MS });
    await renew(late, 30);
    expect(late.facts).toHaveLength(3);
    expect(late.facts.every(({ state }) => state === 'finished')).toBe(true);
  });

  it('shows days left, roles, drafts and keys', async () => {
    const work = await begun();
    const { publicKey } = await (await openWork()).folder.create('bob', 'ed25519', undefined);
    await work.folder.register('bob', publicKey);
    await setThreshold(work, 'images', 'root', 2, ['bob']);
    const lines = await listing(work.folder, NOW + 80 * DAY_MS);
    expect(lines.map(({ fact }) => fact)).toMatchObject(
      expect.arrayContaining([
        expect.objectContaining({ repository: 'images', file: 'root', version: 1, daysLeft: 20 }),
        expect.objectContaining({ repository: 'director', role: 'time', threshold: 1 }),
        expect.objectContaining({ draft: 'drafts/images-2.root.json' }),
        expect.objectContaining({ key: 'bob', kept: 'elsewhere', roles: [] }),
      ]),
    );
    const text = lines.map((line) => line.text).join('\n');
    expect(text).toMatch(/images Root 1: 20 days left .*: can-ota keys refresh/);
    expect(text).toMatch(/Root 2 wants 1 more signature of: bob/);
    const expired = await listing(work.folder, NOW + 101 * DAY_MS);
    expect(expired[0]!.text).toMatch(/EXPIRED 1 day ago .*can-ota keys refresh, then .* push/);
    const stages = await Promise.all(
      [69, 71, 94, 99.5, 100].map(async (days) => {
        const [first] = await listing(work.folder, NOW + days * DAY_MS);
        return [first!.fact.stage, first!.text.replace(/ \(.*/, '')];
      }),
    );
    expect(stages).toEqual([
      ['valid', 'director Root 1: 31 days left'],
      ['month', 'director Root 1: 29 days left'],
      ['week', 'director Root 1: EXPIRES SOON, 6 days left'],
      ['day', 'director Root 1: EXPIRES WITHIN A DAY'],
      ['expired', 'director Root 1: EXPIRED today'],
    ]);
  });
});

describe('keys export-online', () => {
  it('writes online keys and public files, and no offline key', async () => {
    const work = await begun();
    const out = await temporaryFolder();
    const exported = await exportOnline(work.folder, out);
    const offline = await fs.readFile(work.folder.path('private/images-targets.pem'), 'utf8');
    const everything: string[] = [];
    for (const { file } of exported) {
      everything.push(await fs.readFile(path.join(out, file), 'utf8'));
    }
    expect(exported.map(({ file }) => file)).toEqual([
      ...ONLINE_ROLES.director.map((role) => `online/director-${role}.pem`),
      ...ONLINE_ROLES.images.map((role) => `online/images-${role}.pem`),
      'director/1.root.json',
      'images/1.root.json',
      'images/1.targets.json',
    ]);
    expect(everything).not.toContain(offline);
    expect(everything.filter((text) => text.includes('PRIVATE KEY'))).toHaveLength(6);
    const pem = path.join(out, 'online', 'director-time.pem');
    expect((await fs.stat(pem)).mode & 0o777).toBe(0o600);
  });

  it('replaces keys that were rotated, and takes away what nobody names any more', async () => {
    const work = await begun();
    const out = await temporaryFolder();
    await exportOnline(work.folder, out);
    const file = path.join(out, 'online', 'director-time.pem');
    const before = await fs.readFile(file, 'utf8');
    await rotate(work, 'director', 'time', {});
    await fs.writeFile(path.join(out, 'online', 'old.pem'), 'old');
    await exportOnline(work.folder, out);
    expect(await fs.readFile(file, 'utf8')).not.toBe(before);
    expect(await fs.readdir(path.join(out, 'online'))).toHaveLength(6);
    expect(await fs.readdir(path.join(out, 'director'))).toEqual(['1.root.json', '2.root.json']);
  });

  it('refuses a key that is offline too, a key that is missing, and its own folder', async () => {
    const work = await begun();
    await rotate(work, 'images', 'timestamp', { new: 'images-targets' });
    const out = await temporaryFolder();
    expect((await refusal(exportOnline(work.folder, out))).message).toMatch(/offline/);
    expect(await fs.readdir(out)).toEqual([]);
    expect((await refusal(exportOnline(work.folder, work.dir))).message).toMatch(/separate folder/);
    const other = await begun();
    await fs.rm(other.folder.path('private/director-time.pem'));
    expect((await refusal(exportOnline(other.folder, out))).message).toMatch(/not in a file here/);
  });
});
