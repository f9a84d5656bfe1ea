// A process that opens local:NAME and stays: prints `ready` (and `hosting`), then obeys lines on standard input.

import { existsSync } from 'node:fs';
import { classicFrame } from '../../src/bus/can-frame.ts';
import { LocalBus } from '../../src/bus/local-bus.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';

const [name, bitrate] = process.argv.slice(2);
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const bus = await LocalBus.open({
  name: name!,
  bitrate: bitrate === undefined ? undefined : Number(bitrate),
  clock: systemClock,
  logger: silentLogger,
});
bus.onState(({ state }) => say(`state ${state}`));
say(`ready${bus.hosting ? ' hosting' : ''}`);

let counter = 0;
process.stdin.setEncoding('utf8').on('data', (text: string) => {
  for (const command of text.trim().split('\n')) {
    if (command === 'close') {
      void bus.close().then(() => {
        say('closed');
        process.stdin.destroy();
      });
    } else if (command === 'hosting') {
      say(`hosting ${bus.hosting}`);
    } else if (command.startsWith('busy ')) {
      // The main thread does nothing else until the file is there; the wire must not mind.
      say('busy');
      while (!existsSync(command.slice('busy '.length)));
      say('idle');
    } else if (command === 'flood') {
      const next = (): void =>
        bus.send(classicFrame(0x111, Uint8Array.of(counter >>> 8, counter++ & 0xff)), next);
      for (let index = 0; index < 64; index++) next();
    }
  }
});
