// POST /ota/packages/withdraw: withdraws a package.

import { z } from 'zod';
import { hardwareModel, packageVersion, profileName } from '../../chunked/package.ts';
import { endpoint } from '../../endpoint.ts';
import { reasonText, SEE_OTHER } from '../../fields.ts';
import { BODY_PROBLEMS, CHANGER_PROBLEMS } from '../../problem.ts';
import { releasedPackage } from './released-package.ts';

const withdrawal = {
  model: hardwareModel,
  version: packageVersion,
  profile: profileName.default('default'),
  reason: reasonText('say why: the audit log and the list of packages keep it'),
};

export const withdrawPackage = endpoint({
  id: 'withdrawPackage',
  method: 'POST',
  path: '/ota/packages/withdraw',
  summary: 'Withdraws a package and ends open downloads of it.',
  request: {
    body: z.strictObject(withdrawal),
    form: z.strictObject({
      ...withdrawal,
      /** The check box of the form; a browser sends nothing for a box that is not ticked. */
      confirm: z.literal('yes', 'tick the box: a withdrawn version does not come back'),
      _csrf: z.string(),
    }),
  },
  response: {
    statuses: { 200: 'the package is withdrawn', 303: SEE_OTHER },
    body: releasedPackage.extend({
      withdrawn: releasedPackage.shape.withdrawn.unwrap(),
      /** False when the package was withdrawn before. */
      changed: z.boolean(),
      /** Serial numbers of the devices whose download was stopped. */
      stopped: z.array(z.string()),
      /** The package that devices of this model are offered now. */
      offered: z.object({ version: z.string(), counter: z.number() }).nullable(),
    }),
  },
  problems: [...CHANGER_PROBLEMS, ...BODY_PROBLEMS, 'NOT_FOUND'],
});
