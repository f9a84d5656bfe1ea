// A new device whose power is cut at any operation of its enrolment.

import { describe, expect, it } from 'vitest';
import { enroll } from '../../src/device/enroll.ts';
import { ready } from './enroll-support.ts';

describe('an enrolment', () => {
  it('survives a power cut at every operation', async () => {
    for (let at = 1; ; at++) {
      const { world, disk, options, devices } = await ready();
      let operations = 0;
      const gone = new Promise<'cut'>((resolve) => {
        disk.onOperation = (_n, _operation, moment) => {
          if (moment !== 'after' || ++operations !== at) return;
          disk.cut(world.random.fork(`cut ${at}`));
          resolve('cut');
        };
      });
      const first = await Promise.race([enroll(options()), gone]);
      disk.onOperation = undefined;
      if (first !== 'cut') break;
      const again = await enroll(options()).catch((error: Error) => error.message);
      const isThere = typeof again === 'string';
      expect(isThere ? again : again.ok).toEqual(
        isThere ? expect.stringContaining('already') : true,
      );
      expect(devices()).toHaveLength(1);
      expect((await world.status(disk)).version).toBe('1.0.0');
    }
  });
});
