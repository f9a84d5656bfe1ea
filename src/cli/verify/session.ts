// Requests to a Director in the name of a vehicle: the Director of a provisioned fleet only answers its vehicles.

import path from 'node:path';
import { fromHex } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { InputError } from '../../core/errors.ts';
import { systemRandom } from '../../core/random.ts';
import { DiskStorage } from '../../core/storage.ts';
import { DeviceKeys } from '../../link/device-keys.ts';
import { DeviceSession } from '../../link/device-session.ts';
import { HttpClient } from '../../link/http-client.ts';
import { SourceError } from '../../link/metadata-source.ts';
import type { Network } from '../../link/network.ts';
import type { IdentityFile } from '../../trust/identity-file.ts';

/**
 * A `fetch` for this Director only: no other server gets the vehicle's token. The folder of `identityFile` also has the
 * key that the vehicle has changed to. Throws InputError.
 */
export function vehicleFetch(
  identity: IdentityFile,
  identityFile: string,
  director: string,
  network: Network,
): typeof fetch {
  const url = URL.parse(director);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new InputError(
      '--identity',
      'needs a Director with an http(s) address: a folder needs no log-in',
    );
  }
  const { serial, hwId } = identity;
  const device = { serial, hwId, deviceSecret: fromHex(identity.deviceSecret) };
  const session = new DeviceSession({
    device,
    keys: async () => DeviceKeys.glance(device, await DiskStorage.open(path.dirname(identityFile))),
    random: systemRandom,
    clock: systemClock,
    client: new HttpClient({ clock: systemClock, headers: {}, transport: network.transport }),
    // `https://ota.example/director/VIN/metadata` is on the backend `https://ota.example/`.
    base: new URL(`${url.origin}${url.pathname.replace(/(^|\/)director\/.*$/, '')}/`),
  });
  return async (input, init) => {
    const answer = await session.token(init?.signal ?? undefined);
    if (answer.kind === 'failed') throw new SourceError('HTTP', answer.reason);
    const headers = new Headers(init?.headers);
    headers.set('Authorization', `Bearer ${answer.token}`);
    return network.fetch(input, { ...init, headers });
  };
}
