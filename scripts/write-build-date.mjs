// Writes dist/build-date.json (SOURCE_DATE_EPOCH where it is set); keys, release and server refuse an earlier clock.

import { writeFileSync } from 'node:fs';
import path from 'node:path';

const epoch = process.env.SOURCE_DATE_EPOCH;
const builtAt = epoch === undefined ? new Date() : new Date(Number(epoch) * 1000);
const file = path.resolve(import.meta.dirname, '..', 'dist', 'build-date.json');
writeFileSync(file, `${JSON.stringify({ builtAt: builtAt.toISOString() })}\n`);
