// The source of the signed metadata for `can-ota flash`: a bundle, the trust of a TMU, or the public keys of a bench.

import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { EcuMetadataSource, Failed, Target } from '../campaign/ports.ts';
import { fromHex } from '../core/bytes.ts';
import { systemClock } from '../core/clock.ts';
import { InputError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { systemRandom } from '../core/random.ts';
import { DiskStorage } from '../core/storage.ts';
import { fileFault } from '../core/text-file.ts';
import { type NetworkOptions, networkOf } from '../link/network.ts';
import { HttpBackend } from '../tmu/http-backend.ts';
import { TrustFiles } from '../tmu/uptane/trust-files.ts';
import { faultText } from '../trust/attack.ts';
import { benchBundle, benchEcuIdentity } from '../trust/bench-keys.ts';
import { bundleFor, encodeBundle } from '../trust/bundle.ts';
import { checkTime } from '../trust/time-attestation.ts';
import type { Vehicle, VehicleEcu } from '../vehicle/schema.ts';
import { readIdentity, type SecretOptions } from './vehicle-secrets.ts';

export interface MetadataOptions extends SecretOptions, NetworkOptions {
  readonly metadata?: string;
  readonly server?: string;
  readonly version?: string;
  /** Release counter for the signature of --bench-keys. */
  readonly counter?: number;
}

interface Flashed {
  readonly ecu: VehicleEcu;
  readonly vehicle: Vehicle | undefined;
  readonly file: string;
  readonly image: { readonly length: number; readonly sha256: string };
}

/** Undefined for an ECU of another make, which verifies no metadata. Throws InputError. */
export async function metadataOf(
  options: MetadataOptions,
  flashed: Flashed,
  logger: Logger,
): Promise<Target['metadata'] | undefined> {
  const { ecu, vehicle } = flashed;
  if (ecu.programming.metadata === 'skip') {
    if (options.metadata === undefined) return undefined;
    throw new InputError(
      '--metadata',
      vehicle === undefined
        ? 'an ECU that is named by its identifiers takes no metadata'
        : `${ecu.name} takes no metadata (programming.metadata is "skip")`,
    );
  }
  if (options.benchKeys === true) {
    if (options.metadata === undefined) return benchMetadata(flashed, options);
    throw new InputError('--metadata', 'give one of --metadata and --bench-keys');
  }
  if (options.metadata === undefined) {
    throw new InputError(
      '--metadata',
      `${ecu.name} verifies signed metadata: name a bundle or the state directory of a TMU, ` +
        'or add --bench-keys on a bench',
    );
  }
  const place = options.metadata;
  try {
    if (!(await stat(place)).isDirectory()) return Uint8Array.from(await readFile(place));
  } catch (error) {
    throw new InputError('--metadata', fileFault(place, error), { cause: error });
  }
  return trustedMetadata(options, place, flashed, logger);
}

/** The identity in the state directory of a TMU, by which its ECUs take orders. */
export async function identityBeside({
  identity,
  benchKeys,
  metadata,
}: MetadataOptions): Promise<{ readonly identity?: string }> {
  if (identity !== undefined || benchKeys === true || metadata === undefined) return {};
  const file = path.join(metadata, 'identity.json');
  const isThere = await stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
  return isThere ? { identity: file } : {};
}

/**
 * Signs metadata with the public keys of the bench. The default counter is the time in seconds, so the image is newer than
 * any confirmed one, also if its version is lower.
 */
function benchMetadata(
  { ecu, vehicle, file, image }: Flashed,
  { version = 'unknown', counter }: MetadataOptions,
): EcuMetadataSource {
  return async (state) => {
    // Not before the time that the ECU has seen, even if the clock of this machine is behind.
    const timeMs = Math.max(Math.floor(systemClock.wallMs()), Date.parse(state.time ?? '') || 0);
    const { length, sha256 } = image;
    const target = {
      name: path.basename(file),
      length,
      sha256,
      version,
      counter: counter ?? Math.floor(timeMs / 1000),
    };
    const { serial } = benchEcuIdentity(ecu.name);
    const { hardwareId } = ecu;
    return {
      ok: true,
      value: benchBundle({
        vin: vehicle?.vin ?? '',
        ecus: [{ serial, hardwareId, ecu: ecu.name, image: target }],
        nonce: state.nonce ?? '',
        timeMs,
        state,
      }),
    };
  };
}

/** The metadata that a TMU of this vehicle has verified; the time for the ECU's nonce comes from the backend. */
async function trustedMetadata(
  options: MetadataOptions,
  place: string,
  { ecu, vehicle }: Flashed,
  logger: Logger,
): Promise<EcuMetadataSource> {
  if (options.server === undefined) {
    throw new InputError(
      '--server',
      `${place} has the metadata; the ECU also needs the time, signed for its nonce: name the backend that signs it`,
    );
  }
  const file = options.identity ?? path.join(place, 'identity.json');
  const identity = await readIdentity(file, '--identity');
  const { transport } = await networkOf(options, options.server);
  const backend = new HttpBackend({
    server: options.server,
    transport,
    vin: vehicle?.vin ?? '',
    clock: systemClock,
    identity: {
      device: {
        serial: identity.serial,
        hwId: identity.hwId,
        deviceSecret: fromHex(identity.deviceSecret),
      },
      random: systemRandom,
    },
  });
  const { trust, roots, floorMs } = await TrustFiles.open(await DiskStorage.open(place), logger);
  return async (state) => {
    const nonce = state.nonce ?? '';
    const answer = await backend.time([nonce]);
    if (answer.kind === 'failed')
      return untrusted(`there is no time for its nonce: ${answer.reason}`);
    const time = checkTime(answer.time, trust.director.root, nonce, floorMs);
    if (!time.ok) return { ...untrusted(faultText(time)), attack: time.code };
    const bundle = bundleFor(trust, roots, state, answer.time, identity.ecus[ecu.name]?.serial);
    return { ok: true, value: encodeBundle(bundle) };
  };
}

function untrusted(reason: string): Failed {
  return { ok: false, code: 'UNTRUSTED', attack: 'FREEZE', reason, transient: false };
}
