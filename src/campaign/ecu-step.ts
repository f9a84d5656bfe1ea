// Runs one step of one ECU: a driver carries out the reducer's command, and the result is an event.

import { assertNever } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import { UNKNOWN_VERSION } from '../core/version-order.ts';
import type { ImageSource } from '../image/image-source.ts';
import type { CampaignEvent } from './event.ts';
import type {
  Changed,
  DriverFailure,
  DriverHooks,
  DriverResult,
  EcuDriver,
  EcuReport,
  EcuStep,
  Failed,
  HealthChecks,
  RollbackOrder,
  Target,
  TransferReport,
} from './ports.ts';
import type { Note } from './runner.ts';
import type { CampaignCommand } from './state.ts';

export type EcuStepCommand = Extract<CampaignCommand, { kind: 'ecu' }>;

interface OpenedImage extends ImageSource {
  close(): Promise<void>;
}

/** The previous image; for an encrypted blob also the digest and length of the plain image. */
interface PreviousImage extends Omit<RollbackOrder['previous'], 'version' | 'image'> {
  readonly image: OpenedImage;
}

/** The inputs of a step besides its command. */
export interface EcuStepPorts {
  readonly driver: EcuDriver;
  /** The target of the ECU. It only names the image; the steps that read the image open it. */
  readonly target: Omit<Target, 'campaign' | 'from'>;
  /** Whether activation writes the image. An ECU with two banks already holds the image by then. */
  readonly hasOneBank: boolean;
  /** Opens the image; undefined when the store no longer has it. */
  readonly openImage: () => Promise<OpenedImage | undefined>;
  /** Called directly before the image is used. */
  readonly stillWanted: () => Promise<{ readonly ok: true } | Failed>;
  /** Called directly before staging changes the ECU. An event ends the staging. Missing: the approval is final. */
  readonly stillApproved?: () => Promise<'stands' | 'interrupted' | CampaignEvent>;
  /** Opens the previous image; undefined when the store does not keep it. */
  readonly openPrevious: () => Promise<PreviousImage | undefined>;
  readonly checksOf: (knownDtcs: readonly string[] | undefined) => HealthChecks;
  readonly onStep: (step: StepReport) => void;
  readonly note: Note;
}

export type StepReport = { readonly ecu: string; readonly step: EcuStep } & (
  | { readonly status: 'begun' }
  | { readonly status: 'done'; readonly event: CampaignEvent }
  | { readonly status: 'failed'; readonly failure: DriverFailure }
  /** The command will be given again. */
  | { readonly status: 'interrupted'; readonly reason: string }
  | { readonly status: 'warning'; readonly text: string }
);

/** Runs the step; undefined when it was interrupted. Throws the errors of the image store. */
export async function performEcuStep(
  command: EcuStepCommand,
  ports: EcuStepPorts,
  hooks: Pick<DriverHooks, 'progress'> & { readonly signal: AbortSignal },
): Promise<CampaignEvent | undefined> {
  const { step, item } = command;
  const { ecu } = item;
  const { onStep, note } = ports;
  onStep({ ecu, step, status: 'begun' });
  let ended: CampaignEvent | undefined;
  const changing = async (): Promise<boolean> => {
    if (step !== 'stage' && step !== 'activate') return true;
    const approval = step === 'stage' ? ((await ports.stillApproved?.()) ?? 'stands') : 'stands';
    if (typeof approval === 'object') ended = approval;
    return approval === 'stands' && note({ kind: 'changing', step, ecu });
  };
  const done = await perform(command, ports, { ...hooks, changing });
  if (done.ok) {
    for (const text of done.warnings) onStep({ ecu, step, status: 'warning', text });
    onStep({ ecu, step, status: 'done', event: done.value });
    return done.value;
  }
  const { code, reason, transient, changed, attack } = done;
  if (code === 'INTERRUPTED' || hooks.signal.aborted) {
    onStep({ ecu, step, status: 'interrupted', reason });
    return ended;
  }
  onStep({ ecu, step, status: 'failed', failure: done });
  const why = defined({ attack });
  return { kind: 'step-failed', step, ecu, code, reason, transient, changed, ...why };
}

async function perform(
  command: EcuStepCommand,
  ports: EcuStepPorts,
  hooks: DriverHooks,
): Promise<DriverResult<CampaignEvent>> {
  const { driver } = ports;
  const target = targetOf(command, ports);
  const { signal } = hooks;
  const { step } = command;
  const { ecu } = command.item;
  switch (step) {
    case 'stage':
      return mapped(await withImage(command, ports, target, hooks), (report) => ({
        kind: 'staged',
        ecu,
        ...transferOf(report),
        ...defined({ dtcs: report.dtcs === undefined ? undefined : [...report.dtcs] }),
      }));
    case 'activate':
      return mapped(
        ports.hasOneBank
          ? await withImage(command, ports, target, hooks)
          : await driver.activate(target, hooks),
        (report) => ({ kind: 'activated', ecu, ...transferOf(report) }),
      );
    case 'verify':
      return mapped(
        await driver.verify(target, ports.checksOf(command.knownDtcs), signal),
        ({ version = null, sha256 = null, commitment }) => ({
          ...{ kind: 'verified', ecu, version, sha256 },
          ...defined({ commitment }),
        }),
      );
    case 'confirm':
      return mapped(await driver.confirm(target, command.evidence, signal), (receipt) => ({
        ...{ kind: 'confirmed', ecu },
        ...defined({ receipt }),
      }));
    case 'commit':
      return mapped(await driver.commit(target, command.evidence, signal), () => ({
        kind: 'committed',
        ecu,
      }));
    case 'roll-back':
      return mapped(
        await rollBack(command, ports, target, hooks),
        ({ version = null, sha256 = null, unchanged }) => ({
          ...{ kind: 'rolled-back', ecu, version, sha256, unchanged },
        }),
      );
    default:
      return assertNever(step);
  }
}

/** The target with the id of the campaign and with what the ECU reported before the update. */
function targetOf({ item, campaign }: EcuStepCommand, { target }: EcuStepPorts): Target {
  return { ...target, campaign, from: toldBefore(item) };
}

function toldBefore({ from }: EcuStepCommand['item']): EcuReport {
  return {
    version: from.version === UNKNOWN_VERSION ? undefined : from.version,
    sha256: from.sha256 ?? undefined,
  };
}

/** Runs a step that reads the image: `stage`, or the activation of an ECU with one bank. */
async function withImage(
  { step, item }: EcuStepCommand,
  { driver, openImage, stillWanted }: EcuStepPorts,
  target: Target,
  hooks: DriverHooks,
): Promise<DriverResult<TransferReport>> {
  const image = await openImage();
  if (image === undefined) {
    const { ecu, download } = item;
    return {
      ok: false,
      code: 'IMAGE_INVALID',
      reason: `the image ${download.sha256} for ${ecu} is not in the store any more: it is fetched again by the next cycle`,
      transient: false,
      changed: 'no',
    };
  }
  try {
    const wanted = await stillWanted();
    if (!wanted.ok) return { ...wanted, changed: 'no' };
    const full = { ...target, image };
    return await (step === 'stage' ? driver.stage(full, hooks) : driver.activate(full, hooks));
  } finally {
    await image.close();
  }
}

async function rollBack(
  { item, changed }: EcuStepCommand,
  { driver, openPrevious }: EcuStepPorts,
  target: Target,
  hooks: DriverHooks,
): ReturnType<EcuDriver['rollback']> {
  const kept = await openPrevious();
  try {
    const { version, sha256 } = toldBefore(item);
    const previous = { version, ...defined({ sha256 }), ...kept };
    return await driver.rollback({ target, previous, changed }, hooks);
  } finally {
    await kept?.image.close();
  }
}

function mapped<T>(
  done: DriverResult<T>,
  eventOf: (value: T) => CampaignEvent,
): DriverResult<CampaignEvent> {
  return done.ok ? { ...done, value: eventOf(done.value) } : done;
}

function transferOf({ bytes, transferMs, resumedAt, changed }: TransferReport): {
  bytes: number;
  seconds: number;
  changed: Changed;
  resumedAt?: number;
} {
  return {
    bytes,
    seconds: transferMs / 1000,
    changed,
    ...defined({ resumedAt }),
  };
}
