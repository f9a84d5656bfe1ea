// Registers devices in a folder that another process works on too: `registry-child.ts DIR COUNT`.

import { randomBytes } from 'node:crypto';
import { AuditLog } from '../../server/features/audit/store.ts';
import { DeviceStore } from '../../server/features/registry/store.ts';
import { openDatabase } from '../../server/platform/db/database.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { systemRandom } from '../../src/core/random.ts';

const [, , dir, count] = process.argv;
const db = await openDatabase(dir!, { clock: systemClock, random: systemRandom });
const devices = new DeviceStore(db, new AuditLog(db, silentLogger));
const actor = { who: 'test', address: 'local' };
for (let index = 0; index < Number(count); index++) {
  await devices.provision(randomBytes(16).toString('hex'), {}, actor);
}
await db.close();
