// `can-ota release device` and `can-ota keys device-key`: packages for small devices, signed here and uploaded.

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type Profile, profileOf, readReleaseKey } from '../../contract/chunked/package.ts';
import {
  generateReleaseKey,
  manifestFor,
  publicPem,
  signManifest,
} from '../../contract/chunked/sign-package.ts';
import { addPackage } from '../../contract/endpoints/small-devices/add-package.ts';
import { requirePlausibleClock } from '../../core/build-date.ts';
import { systemClock } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { defined } from '../../core/optional.ts';
import { present } from '../../core/present.ts';
import { createSecretFile, readSecretLine, requireOwnerOnly } from '../../core/secret-file.ts';
import { fileFault } from '../../core/text-file.ts';
import { type NetworkOptions, networkOf } from '../../link/network.ts';
import { type PassphraseOptions, passphraseSource } from '../../signing/passphrase.ts';
import { ReleaseBackend } from '../../signing/release-backend.ts';
import { toPem } from '../../trust/signing-key.ts';
import { type CommonOptions, runCommand } from '../context.ts';

export interface DeviceReleaseOptions extends CommonOptions, PassphraseOptions, NetworkOptions {
  readonly model: string;
  readonly version: string;
  readonly counter: number;
  readonly profile: Profile;
  readonly key: string;
  readonly server: string;
  readonly tokenFile: string;
}

export interface DeviceKeyOptions extends CommonOptions, PassphraseOptions {
  readonly profile: Profile;
  readonly out: string;
}

/** The parts of the command's context that are used here. */
type Teller = Pick<Context, 'say' | 'emit' | 'signal'>;

export function releaseDevice(file: string, options: DeviceReleaseOptions): Promise<void> {
  return runCommand(options, async (context) => {
    requirePlausibleClock(systemClock.wallMs());
    const { fetch } = await networkOf(options, options.server);
    await release(context, file, options, fetch);
    return ExitCode.success;
  });
}

export function makeDeviceKey(options: DeviceKeyOptions): Promise<void> {
  return runCommand(options, async (context) => {
    requirePlausibleClock(systemClock.wallMs());
    await makeKey(context, options);
    return ExitCode.success;
  });
}

/** Checks everything that can be checked here before it sends anything. Throws InputError, BackendError. */
export async function release(
  context: Teller,
  file: string,
  options: DeviceReleaseOptions,
  send: typeof fetch,
): Promise<void> {
  const { model, version, counter, profile, server: url } = options;
  const key = await openKey(options);
  const image = await bytesOf(file);
  if (image.length === 0) throw new InputError(file, 'is empty: an image has at least one byte');
  const signed = signManifest(manifestFor(image, { model, version, counter, profile }), key);
  const token = await readSecretLine(options.tokenFile, '--token-file');
  const backend = await ReleaseBackend.logIn(
    { url, clock: systemClock, signal: context.signal, fetch: send },
    { kind: 'token', token },
  );
  const form = new FormData();
  form.set('manifest', JSON.stringify(signed));
  form.set('public_key', publicPem(key));
  form.set('file', new Blob([image]), 'image.bin');
  const { created, key_id } = await backend.uploadForm(`upload of ${file}`, addPackage, form);
  context.emit({ released: signed.manifest, created, keyId: key_id });
  const again = created ? '' : ' (it was there already)';
  context.say(`${model} ${version} is released, ${image.length} bytes, counter ${counter}${again}`);
}

/** Throws InputError where a key exists already. */
export async function makeKey(context: Teller, options: DeviceKeyOptions): Promise<void> {
  const { profile } = options;
  const passphrases = await passphraseSource(options);
  const out = path.resolve(options.out);
  const privateKey = generateReleaseKey(profile);
  const publicKey = publicPem(privateKey);
  const { id } = present(readReleaseKey(publicKey), 'the key that was made');
  await createSecretFile(out, toPem(privateKey, await passphrases.forNewKeys()), '--out');
  await createSecretFile(`${out}.pub`, publicKey, '--out');
  context.emit({ key: out, publicKey: `${out}.pub`, profile, keyId: id });
  context.say(`${out} signs packages of profile ${profile}: key ${id.slice(0, 16)}`);
  context.say(`Enrol devices with its public half: ${out}.pub`);
}

/** Throws InputError for a file that others can read, that is not a key, or that has a key of another profile. */
async function openKey(options: DeviceReleaseOptions): Promise<KeyObject> {
  const { key: file, profile } = options;
  await requireOwnerOnly(file, '--key');
  const pem = Buffer.from(await bytesOf(file)).toString('utf8');
  const encrypted = pem.includes('BEGIN ENCRYPTED PRIVATE KEY');
  const passphrase = encrypted ? await (await passphraseSource(options)).toOpen(file) : undefined;
  if (encrypted && passphrase === undefined) {
    throw new InputError('--key', `${file} is encrypted: give --passphrase-file FILE`);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, ...defined({ passphrase }) });
  } catch (cause) {
    const why = encrypted ? 'the passphrase is wrong, or it is damaged' : 'it is no private key';
    throw new InputError('--key', `${file} cannot be opened: ${why}`, { cause });
  }
  const found = profileOf(key);
  if (found !== profile) {
    const what = found === undefined ? 'no key of a profile' : `a key of profile ${found}`;
    throw new InputError('--key', `${file} holds ${what}, and --profile is ${profile}`);
  }
  return key;
}

async function bytesOf(file: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return Uint8Array.from(await readFile(file));
  } catch (error) {
    throw new InputError(file, fileFault(file, error), { cause: error });
  }
}
