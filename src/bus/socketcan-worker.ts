// The thread that owns the sockets of a SocketCAN interface. The only file that loads the package `socketcan`.

import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../core/clock.ts';
import { describeError } from '../core/errors.ts';
import { present } from '../core/present.ts';
import { canRawLoaded, interfaceCounter, interfaceStatus } from './interface-status.ts';
import type { FromThread, SocketCanThreadOptions, ToThread } from './socketcan-protocol.ts';
import { type RawChannel, SocketCanThread } from './socketcan-thread.ts';
import { preferThisThread } from './thread-priority.ts';

const port = present(parentPort, 'the port of the worker thread');
const say = (message: FromThread, transfer: ArrayBuffer[] = []): void =>
  port.postMessage(message, transfer);

interface Package {
  createRawChannelWithOptions(
    name: string,
    options: { timestamps: boolean; non_block_send: boolean },
  ): RawChannel;
}

async function loadPackage(): Promise<Package | undefined> {
  try {
    const loaded = (await import('socketcan')) as unknown as Package & { default?: Package };
    return loaded.default ?? loaded;
  } catch (error) {
    say({
      kind: 'refused',
      code: 'NO_DRIVER',
      reason:
        'the npm package "socketcan" is not there or was not built for this machine: it needs Linux, python3, make ' +
        `and g++ and is built by \`npm rebuild socketcan\` (${describeError(error).split('\n')[0]})`,
    });
    return undefined;
  }
}

async function main(): Promise<void> {
  const options = workerData as SocketCanThreadOptions;
  // Before the package starts its reader thread, which inherits the priority.
  preferThisThread();
  const socketcan = await loadPackage();
  if (socketcan === undefined) return port.close();
  let thread: SocketCanThread;
  try {
    thread = new SocketCanThread({
      ...options,
      clock: systemClock,
      say,
      interfaceStatus: () => interfaceStatus(options.interfaceName),
      packets: () => interfaceCounter(options.interfaceName, 'rx_packets'),
      open: () =>
        socketcan.createRawChannelWithOptions(options.interfaceName, {
          timestamps: false,
          // A blocking send would stop this thread, and with it reception.
          non_block_send: true,
        }),
    });
  } catch (error) {
    // The package has one message for every error of a socket.
    say({
      kind: 'refused',
      code: 'NO_PERMISSION',
      reason: canRawLoaded()
        ? `the kernel refuses a CAN socket on ${options.interfaceName} (${describeError(error)}): does a sandbox or container forbid it?`
        : `the kernel has no CAN sockets (${describeError(error)}): sudo modprobe can-raw`,
    });
    return port.close();
  }
  port.on('message', (message: ToThread) => {
    thread.take(message);
    if (message.kind === 'close') {
      port.close();
      Atomics.store(options.stopped, 0, 1);
      Atomics.notify(options.stopped, 0);
    }
  });
  say({ kind: 'open' });
}

await main();
