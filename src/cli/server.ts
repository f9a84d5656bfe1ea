// `can-ota server`: the backend.

import { createServer } from '../../server/server.ts';
import { systemClock } from '../core/clock.ts';
import { ExitCode } from '../core/exit-code.ts';
import { systemRandom } from '../core/random.ts';
import { announceReady, type CommonOptions, runCommand, untilAborted } from './context.ts';

interface ServerOptions extends CommonOptions {
  readonly host: string;
  readonly port: number;
  readonly data: string;
  readonly allowIp?: readonly string[];
  readonly trustProxy?: readonly string[];
  readonly maxUpload: number;
  readonly secureCookies?: boolean;
}

export function server(options: ServerOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const backend = await createServer({
      dataDir: options.data,
      clock: systemClock,
      random: systemRandom,
      logger: context.logger,
      allowCidrs: options.allowIp ?? [],
      trustProxy: options.trustProxy ?? false,
      maxUploadBytes: Math.floor(options.maxUpload * 1024 * 1024),
      ...(options.secureCookies === true ? { secureCookies: true } : {}),
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
