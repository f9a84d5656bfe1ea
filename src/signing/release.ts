// Adds and revokes releases: signs Targets with the changed list and uploads image and Targets.

import { hexNumber } from '../core/bytes.ts';
import { InputError } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import { present } from '../core/present.ts';
import { sameVersion } from '../core/version-order.ts';
import {
  addressOf,
  openFlashFile,
  payloadBlob,
  requireSoftware,
  splitAddress,
} from '../image/image-file-formats.ts';
import type { TargetSpec } from '../trust/role-signing.ts';
import type { CeremonyOutcome } from './ceremony.ts';
import { requireCurrent } from './compare.ts';
import { openDraft, parse } from './draft.ts';
import type { KeyFolder } from './folder.ts';
import { namer, outcomeLines } from './overview.ts';
import { type PublishState, pushTargets, type ReleaseWork } from './push.ts';
import {
  givenCounters,
  keepCounters,
  type ListedRelease,
  listed,
  type ReleaseCustom,
} from './release-list.ts';

export interface ReleaseChoice {
  readonly ecu: string;
  readonly version: string;
  readonly hardware: readonly string[];
  /** Release counter; default: that of the same image, otherwise one more than the highest of the ECU. */
  readonly counter?: number;
  readonly encrypt?: boolean;
  readonly forced?: boolean;
  readonly notes?: string;
  readonly depends?: Readonly<Record<string, string>>;
  /** The file is raw data, whatever it looks like. */
  readonly raw?: boolean;
}

/** Signs the image of a flash file as a release and uploads both. Throws InputError, BackendError. */
export async function add(
  work: ReleaseWork,
  file: string,
  choice: ReleaseChoice,
): Promise<PublishState> {
  const { context, ceremony, backend } = work;
  if (backend !== undefined) await requireCurrent(work.folder, backend);
  const at = await splitAddress(file, 'FILE');
  await using image = await openFlashFile(at, 'FILE', { told: choice.raw === true });
  requireSoftware(image, file);
  const { length, sha256 } = image;
  const segments = image.map?.segments.length ?? 1;
  if (segments > 1 && choice.encrypt === true) {
    throw new InputError(
      '--encrypt',
      `${file} has ${segments} segments, an encrypted image has one: fill the gaps with ` +
        '"can-ota image convert FILE --out NEW.hex --fill 0xFF", or release it plain',
    );
  }
  const { ecu, version } = choice;
  const name = `${ecu}-${version}-${sha256.slice(0, 12)}.bin`;
  const before = listed((await newestTargets(work.folder)).targets);
  const given = await givenCounters(work.folder);
  const custom = customOf({ ...choice, address: addressOf(image) }, name, before, given[ecu]);
  const outcome = await ceremony.changeTargets((writer) =>
    writer.putTarget(name, { length, hashes: { sha256 }, custom: { ...custom } }),
  );
  await keepCounters(work.folder, [{ custom }]);
  await tell(work, outcome, { release: 'added', name, length, sha256, custom });
  if (backend === undefined) return 'signed';
  // Upload the image first, so that a signed list never names a missing image.
  const created = await backend.uploadImage({
    ecu,
    version,
    notes: custom.notes,
    payload: await payloadBlob(image, at),
    name,
  });
  context.emit({ uploaded: name, created });
  context.say(`${name} is uploaded${created ? '' : ' (it was there already)'}`);
  return pushTargets(work, backend, outcome);
}

export async function list({ context, folder }: ReleaseWork): Promise<void> {
  const { version: targetsVersion, targets, draft } = await newestTargets(folder);
  const releases = listed(targets);
  for (const { name, length, sha256, custom } of releases) {
    context.emit({ name, length, sha256, ...custom, targetsVersion, draft });
    const { ecu, version, releaseCounter, hardwareIds, encrypt, forced, dependencies } = custom;
    const { address } = custom;
    const needs = Object.entries(dependencies).map(([other, range]) => `${other} ${range}`);
    context.say(
      `${name}  ${ecu} ${version}, counter ${releaseCounter}, for ${hardwareIds.join(' ')}, ` +
        `${length} bytes${address === undefined ? '' : ` at ${hexNumber(address, 8)}`}${encrypt ? ', encrypted' : ''}${forced ? ', safety release' : ''}` +
        (needs.length > 0 ? `, needs ${needs.join(', ')}` : ''),
    );
  }
  if (releases.length === 0) context.say('no releases yet: can-ota release add FILE');
  if (draft) {
    context.say(`Targets ${targetsVersion} is a draft: signatures are missing (can-ota keys list)`);
  }
}

/** Removes releases of an ECU from Targets, so that no Director can assign them. */
export async function revoke(
  work: ReleaseWork,
  ecu: string,
  version: string,
): Promise<PublishState> {
  if (work.backend !== undefined) await requireCurrent(work.folder, work.backend);
  const { targets } = await newestTargets(work.folder);
  const names = listed(targets)
    .filter(({ custom }) => custom.ecu === ecu && sameVersion(custom.version, version))
    .map(({ name }) => name);
  if (names.length === 0) {
    throw new InputError(
      `${ecu} ${version}`,
      'is not a release: can-ota release list shows the releases',
    );
  }
  const outcome = await work.ceremony.changeTargets((writer) => {
    for (const name of names) writer.removeTarget(name);
  });
  await tell(work, outcome, { release: 'revoked', ecu, version, names });
  return work.backend === undefined ? 'signed' : pushTargets(work, work.backend, outcome);
}

/** Checks a release before signing, and fills in the counter. Throws InputError. */
export function customOf(
  choice: ReleaseChoice & { readonly address?: number | undefined },
  name: string,
  before: readonly ListedRelease[],
  highestGiven = 0,
): ReleaseCustom {
  const { ecu, version } = choice;
  const other = before.find(
    (release) =>
      release.name !== name &&
      release.custom.ecu === ecu &&
      sameVersion(release.custom.version, version),
  );
  if (other !== undefined) {
    const known = other.custom.version;
    throw new InputError(
      '--version',
      known === version
        ? `${ecu} ${version} was released with other content (SHA-256 ${other.sha256}): give this image a new version`
        : `${ecu} ${version} is the same version as ${known}, which was released (SHA-256 ${other.sha256}): ` +
            `write ${known} for that image, or give this one a new version`,
    );
  }
  const known = before.find((release) => release.name === name)?.custom.releaseCounter;
  const counters = before.flatMap(({ custom }) =>
    custom.ecu === ecu ? [custom.releaseCounter] : [],
  );
  return {
    ecu,
    version,
    hardwareIds: [...new Set(choice.hardware)],
    releaseCounter: choice.counter ?? known ?? Math.max(highestGiven, ...counters) + 1,
    dependencies: choice.depends ?? {},
    encrypt: choice.encrypt ?? false,
    forced: choice.forced ?? false,
    ...defined({ address: choice.address }),
    // Uptane 5.2: strings are in Normalization Form C; a terminal may enter them in another form.
    notes: (choice.notes ?? '').normalize('NFC').trim(),
  };
}

export async function newestTargets(folder: KeyFolder): Promise<{
  readonly version: number;
  readonly targets: ReadonlyMap<string, TargetSpec>;
  readonly draft: boolean;
}> {
  const draft = await openDraft(folder, 'images', 'targets');
  const version = draft?.version ?? (await folder.versions('images', 'targets')).at(-1);
  if (version === undefined) {
    throw new InputError('--keys', `${folder.path('images')} has no Targets: can-ota keys init`);
  }
  const name = `images/${version}.targets.json`;
  const bytes = draft?.bytes ?? present(await folder.storage.read(name), name);
  const { signed } = parse(bytes, folder.path(name));
  const targets = new Map(Object.entries(signed.targets as Record<string, TargetSpec>));
  return { version, targets, draft: draft !== undefined };
}

async function tell(
  { context, folder }: ReleaseWork,
  outcome: CeremonyOutcome,
  fact: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { fact: file, text } = outcomeLines(folder, outcome, namer(await folder.keys()));
  context.emit({ ...fact, ...file });
  context.say(text);
}
