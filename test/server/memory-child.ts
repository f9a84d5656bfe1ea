// A backend in a process of its own, which tells its port and, at each line of input, its peak memory in KiB.

import { addUser } from '../../server/features/people/tool-commands.ts';
import { createServer } from '../../server/server.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { systemRandom } from '../../src/core/random.ts';

const [dataDir, password] = process.argv.slice(2) as [string, string];
await addUser(dataDir, 'anna', 'admin', password, { bcryptCost: 4 });
const server = await createServer({
  dataDir,
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
  maxUploadBytes: 2 ** 30,
});
const running = await server.listen(0, '127.0.0.1');
process.stdout.write(`${running.port}\n`);
process.stdin.on('data', () => process.stdout.write(`${process.resourceUsage().maxRSS}\n`));
process.stdin.on('end', () => void running.close(100));
