// `can-ota server`: the backend.

import type { ServerRole, ServerUptaneOptions } from '../../../server/features/director/uptane.ts';
import { createServer } from '../../../server/server.ts';
import type { ChunkFaultRates } from '../../contract/chunked/faults.ts';
import { requirePlausibleClock } from '../../core/build-date.ts';
import { systemClock } from '../../core/clock.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { defined } from '../../core/optional.ts';
import { systemRandom } from '../../core/random.ts';
import { readSecretLine } from '../../core/secret-file.ts';
import { readTextFile } from '../../core/text-file.ts';
import { type NetworkOptions, networkOf } from '../../link/network.ts';
import { announceReady, type CommonOptions, runCommand, untilAborted } from '../context.ts';

interface ServerOptions extends CommonOptions, NetworkOptions {
  readonly host: string;
  readonly port: number;
  readonly data: string;
  readonly allowIp?: readonly string[];
  readonly trustProxy?: readonly string[];
  readonly maxUpload: number;
  readonly secureCookies?: boolean;
  readonly basePath?: string;
  readonly encryptedSessions?: boolean;
  readonly deviceCa?: string;
  readonly clientCertHeader?: string;
  readonly trust?: string;
  readonly role: ServerRole;
  readonly imagesUrl?: string;
  readonly imagesTokenFile?: string;
  readonly passphraseFile?: string;
  readonly devices: 'auto' | 'required';
  readonly bench?: boolean;
  readonly fault: ChunkFaultRates;
}

export function server(options: ServerOptions): Promise<void> {
  return runCommand(options, async (context) => {
    requirePlausibleClock(systemClock.wallMs());
    const uptane = await uptaneOptions(options);
    if (uptane === undefined) {
      process.stderr.write(
        'can-ota: warning: without --trust this server signs nothing, so no TMU can be updated by it (pages and small ' +
          'devices work): give the folder of "can-ota keys export-online"\n',
      );
    }
    const chunkFaults = benchFaults(options);
    const backend = await createServer({
      dataDir: options.data,
      clock: systemClock,
      random: systemRandom,
      logger: context.logger,
      allowCidrs: options.allowIp ?? [],
      trustProxy: options.trustProxy ?? false,
      maxUploadBytes: Math.floor(options.maxUpload * 1024 * 1024),
      ...(options.secureCookies === true ? { secureCookies: true } : {}),
      ...defined({ basePath: options.basePath }),
      encryptedOnly: options.encryptedSessions === true,
      ...defined({ uptane }),
      devices: options.devices,
      deviceCertificates: await deviceCertificates(options),
      chunkFaults,
    });
    const running = await backend
      .listen(options.port, options.host)
      .catch(async (error: unknown) => {
        await backend.close();
        throw error;
      });
    const host = running.host.includes(':') ? `[${running.host}]` : running.host;
    const url = `http://${host}:${running.port}`;
    context.emit({ kind: 'listening', url, port: running.port });
    context.say(`listening on ${url}; Ctrl-C ends`);
    announceReady({ url });
    await untilAborted(context.signal);
    await running.close();
    return ExitCode.success;
  });
}

/** Throws InputError for a file that cannot be read, and for a header option without a file. */
async function deviceCertificates({ deviceCa, clientCertHeader: header }: ServerOptions) {
  if (deviceCa !== undefined) {
    const ca = await readTextFile(deviceCa, '--device-ca');
    return { ca, ...defined({ header }) };
  }
  if (header === undefined) return undefined;
  throw new InputError('--client-cert-header', 'is for --device-ca FILE');
}

/** Throws InputError for faults without --bench. Prints a warning that lists the faults. */
function benchFaults({ bench, fault }: ServerOptions): ChunkFaultRates {
  const names = Object.entries(fault).map(([name, rate]) => `${name}=${rate}`);
  if (bench !== true) {
    if (names.length === 0) return fault;
    throw new InputError(
      '--fault',
      'spoils downloads on purpose: add --bench where that is wanted',
    );
  }
  const what = names.length === 0 ? 'no fault is asked for' : names.join(', ');
  process.stderr.write(`can-ota: warning: this is a bench server, not for real devices: ${what}\n`);
  return fault;
}

/** Throws InputError for options that do not fit together, and for secret files that others can read. */
async function uptaneOptions(options: ServerOptions): Promise<ServerUptaneOptions | undefined> {
  const { trust, role, imagesUrl, imagesTokenFile, passphraseFile } = options;
  if (trust === undefined) {
    if (role === 'all' && imagesUrl === undefined) return undefined;
    throw new InputError('--trust', 'a Director or image repository needs its keys and Roots');
  }
  if (imagesUrl !== undefined && role !== 'director') {
    throw new InputError('--images-url', `is for --role director, and this is --role ${role}`);
  }
  return {
    role,
    trustDir: trust,
    // One passphrase opens all online keys. A server is started by machines, so it never prompts for it.
    passphrase: await secret(passphraseFile, '--passphrase-file', process.env.CAN_OTA_PASSPHRASE),
    imagesUrl,
    imagesToken: await secret(imagesTokenFile, '--images-token-file'),
    fetch: imagesUrl === undefined ? undefined : (await networkOf(options, imagesUrl)).fetch,
  };
}

/** Throws InputError for a file that others can read. */
async function secret(
  file: string | undefined,
  option: string,
  otherwise?: string,
): Promise<string | undefined> {
  if (file !== undefined) return readSecretLine(file, option);
  return otherwise === '' ? undefined : otherwise;
}
