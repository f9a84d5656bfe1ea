// What a vehicle says of itself in its contacts, as it is stored.

import { catalogue } from '../../../src/contract/command.ts';
import { count, json, tableRows, text, time } from '../../platform/db/row.ts';

const rows = tableRows('vehicle_services', {
  vin: text,
  judged_version: count,
  catalogue: json(catalogue).nullable(),
  catalogue_digest: text.nullable(),
  catalogue_at: time.nullable(),
});
export const judgedVersionOf = rows.only('judged_version');
export const catalogueOf = rows.only('catalogue', 'catalogue_digest', 'catalogue_at');
export const catalogueDigestOf = rows.only('catalogue_digest');
