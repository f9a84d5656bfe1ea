// The Director of a provisioned fleet answers nobody but its vehicles: requests in the name of one of them.

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
 * A `fetch` for this Director alone: the token of a vehicle is nobody else's business. `identityFile`: beside it is the
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
    throw new InputError('--identity', 'is for a Director with an address: a folder asks nobody');
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
