// The Primary of Uptane (5.4.2 to 5.4.4): check-in, time, full verification of both repositories, bundles for the ECUs.

import type { Backend, Failed, Offer } from '../../campaign/ports.ts';
import type { BackendFailure } from '../../core/backend-failure.ts';
import { toHex } from '../../core/bytes.ts';
import { defined } from '../../core/optional.ts';
import { present } from '../../core/present.ts';
import type { PaceLimits } from '../../link/pace.ts';
import { retrying } from '../../link/retry.ts';
import {
  type AttackCode,
  faultText,
  refused,
  type TrustFault,
  type Verdict,
} from '../../trust/attack.ts';
import { bundleFor, type EcuTrustState, encodeBundle } from '../../trust/bundle.ts';
import type { VerifiedTarget } from '../../trust/director.ts';
import { furtherHashes } from '../../trust/file-hash.ts';
import { type EcuFacts, FullVerification } from '../../trust/full-verification.ts';
import type { IdentityFile } from '../../trust/identity-file.ts';
import { RepositoryUpdate, versionsOf } from '../../trust/repository.ts';
import type { LocalSigner } from '../../trust/signing-key.ts';
import { checkTime } from '../../trust/time-attestation.ts';
import type { TrustedCheck, TrustedSource, TrustedTools, WantedImage } from '../trusted-source.ts';
import { fetchMetadata } from './metadata-client.ts';
import { type FirstRoots, TrustFiles } from './trust-files.ts';
import { type OwnSoftware, vehicleManifest } from './vehicle-reports.ts';

export interface UptaneOptions {
  readonly identity: Pick<IdentityFile, 'serial' | 'ecus'>;
  readonly signer: LocalSigner;
  readonly software: OwnSoftware;
  /** The first Roots, for a state directory that has none yet (a bench). */
  readonly anchors?: FirstRoots;
  readonly limits?: PaceLimits;
  /** How old a verification may be to vouch for an image. */
  readonly stalenessMs?: number;
}

const NONCE_BYTES = 16;
/** Length of the release notes in a plan. */
const MAX_NOTES = 4096;
const STALENESS_MS = 24 * 60 * 60_000;

type NoAnswer = BackendFailure | { readonly kind: 'interrupted' };
type Timed = { readonly kind: 'time'; readonly timeMs: number } | TrustFault | NoAnswer;

interface Verified {
  readonly atMs: number;
  readonly targets: readonly VerifiedTarget[];
}

export class UptaneSource implements TrustedSource {
  readonly #tools: TrustedTools;
  readonly #options: UptaneOptions;
  readonly #files: TrustFiles;
  /** By the ECU's name in the vehicle file. */
  readonly #serials: ReadonlyMap<string, string>;
  /** What this process has verified. */
  #verified: Verified | undefined;
  /** The ECUs that the last manifest lacked, one sentence each. */
  #missing: readonly string[] = [];

  private constructor(tools: TrustedTools, options: UptaneOptions, files: TrustFiles) {
    this.#tools = tools;
    this.#options = options;
    this.#files = files;
    this.#serials = new Map(
      tools.vehicle.ecus.flatMap(({ name }) => {
        const known = options.identity.ecus[name];
        return known === undefined ? [] : [[name, known.serial] as const];
      }),
    );
  }

  /** Throws InputError where there is no trusted Root yet. */
  static async open(tools: TrustedTools, options: UptaneOptions): Promise<UptaneSource> {
    const files = await TrustFiles.open(tools.storage, tools.logger, options.anchors);
    const source = new UptaneSource(tools, options, files);
    for (const { name } of tools.vehicle.ecus) {
      if (source.#serials.has(name)) continue;
      const text =
        'the identity of this vehicle does not know it, so it is not updated: run "can-ota provision"';
      tools.emit({ kind: 'warning', ecu: name, text });
    }
    return source;
  }

  async check(signal: AbortSignal): Promise<TrustedCheck> {
    const nonce = toHex(this.#tools.random.bytes(NONCE_BYTES));
    const sent = await this.#sendManifest([nonce], signal);
    const answer = sent.kind === 'failed' ? await this.#withoutManifest(sent, nonce, signal) : sent;
    if (!('time' in answer)) return answer;
    const { time } = answer;
    const now = await this.#trustTime(time, nonce, signal);
    if (!('kind' in now)) return this.#untrusted(now);
    if (now.kind !== 'time') return now;
    const result = await this.#verify(now.timeMs, signal);
    if (result !== undefined) return result;
    const names = new Map([...this.#serials].map(([name, serial]) => [serial, name]));
    const { targets } = present(this.#verified, 'what was verified');
    const offers = targets.flatMap((target) => offerOf(target, names));
    if (sent.kind === 'checked-in') return { kind: 'offers', offers, checkedIn: true };
    return { kind: 'offers', offers, checkedIn: false, incomplete: this.#incomplete(sent) };
  }

  /**
   * Continues after the Director has refused the manifest: the metadata that it signed before is still verified,
   * because a silent ECU must not keep the others from their updates. Otherwise returns the failure itself.
   */
  async #withoutManifest(
    failure: BackendFailure,
    nonce: string,
    signal: AbortSignal,
  ): Promise<
    { readonly time: unknown } | Extract<TrustedCheck, { kind: 'incomplete' }> | NoAnswer
  > {
    if (failure.transient || isUnwelcome(failure)) return failure;
    const reason = this.#incomplete(failure);
    // The first check-in creates the metadata of a vehicle; before it there is nothing to verify.
    if (this.#files.trust.director.timestamp === undefined) {
      return this.#missing.length > 0 ? { kind: 'incomplete', reason } : failure;
    }
    this.#tools.emit({ kind: 'warning', text: reason });
    return this.#askTime([nonce], signal);
  }

  /** The vehicle's own reasons come first: they say what to do about the ECU. */
  #incomplete(answer: { readonly kind: string; readonly reason?: string }): string {
    return ['the Director refuses the manifest', ...this.#missing, answer.reason]
      .filter((text) => text !== undefined)
      .join('; ');
  }

  readonly checkIn: TrustedSource['checkIn'] = (signal) => this.#sendManifest([], signal);

  async bundle(
    ecu: string,
    state: EcuTrustState,
    signal: AbortSignal,
  ): Promise<{ readonly ok: true; readonly value: Uint8Array } | Failed> {
    const { nonce } = state;
    if (nonce === undefined)
      return this.#untrustedEcu(ecu, 'FREEZE', 'it asks for no time (DID FD21)');
    const answer = await this.#askTime([nonce], signal);
    if (answer.kind === 'interrupted') return interrupted(ecu);
    if (answer.kind === 'failed') {
      return unavailable(ecu, `there is no time for its nonce: ${answer.reason}`);
    }
    // The ECU will check the same. Checking here finds a network fault before anything is sent over the bus.
    const { root } = this.#files.trust.director;
    const time = checkTime(answer.time, root, nonce, this.#files.floorMs);
    if (!time.ok) return this.#untrustedEcu(ecu, time.code, faultText(time));
    const { trust, roots } = this.#files;
    const bundle = bundleFor(trust, roots, state, answer.time, this.#serials.get(ecu));
    return { ok: true, value: encodeBundle(bundle) };
  }

  async stands(
    { ecu, targetName, to }: WantedImage,
    signal: AbortSignal,
  ): Promise<{ readonly ok: true } | Failed> {
    const { clock } = this.#tools;
    const stalenessMs = this.#options.stalenessMs ?? STALENESS_MS;
    const isFresh =
      this.#verified !== undefined && clock.nowMs() - this.#verified.atMs < stalenessMs;
    if (!isFresh) {
      const again = await this.check(signal);
      if (again.kind === 'interrupted') return interrupted(ecu);
      if (again.kind === 'untrusted') return this.#untrustedEcu(ecu, again.code, again.reason);
      if (again.kind === 'failed') {
        const reason = `its metadata is from an earlier start and cannot be verified again: ${again.reason}`;
        return unavailable(ecu, reason);
      }
    }
    const serial = this.#serials.get(ecu);
    const target = this.#verified?.targets.find((each) => each.serial === serial);
    const isSame =
      target !== undefined &&
      target.name === targetName &&
      target.sha256 === to.sha256 &&
      target.length === to.size;
    if (isSame) return { ok: true };
    const now = target === undefined ? 'nothing' : target.name;
    return this.#untrustedEcu(
      ecu,
      'UNKNOWN_TARGET',
      `${targetName} was planned, the Director wants ${now} now`,
    );
  }

  async installed(
    images: readonly { readonly ecu: string; readonly releaseCounter: number }[],
  ): Promise<void> {
    const raised = images.flatMap(({ ecu, releaseCounter }) => {
      const serial = this.#serials.get(ecu);
      return serial === undefined ? [] : [[serial, releaseCounter] as const];
    });
    await this.#files.raiseCounters(Object.fromEntries(raised));
  }

  /** 5.4.2: sends the manifest to the Director, independent of the verification that follows. */
  async #sendManifest(
    nonces: readonly string[],
    signal: AbortSignal,
  ): Promise<{ readonly kind: 'checked-in'; readonly time: unknown } | NoAnswer> {
    const { vehicle, backend } = this.#tools;
    const { signer, software, identity } = this.#options;
    const made = await vehicleManifest(
      {
        ...this.#tools,
        runs: (ecu) => this.#runs(ecu),
        signer,
        software,
        serial: identity.serial,
        serials: this.#serials,
        files: this.#files,
      },
      signal,
    );
    if (made === undefined) return { kind: 'interrupted' };
    const { manifest } = made;
    this.#missing = made.missing;
    const telemetry = await this.#tools.telemetry(signal);
    if (signal.aborted) return { kind: 'interrupted' };
    const told = defined({ telemetry });
    const sent = await this.#retrying('checking in', signal, (inner) =>
      backend.checkin({ vin: vehicle.vin, manifest, ...told, nonces }, inner),
    );
    if (sent.kind === 'checked-in') await this.#tellReceived(made.attacks, signal);
    return sent;
  }

  /**
   * The Director knows of these attacks, so their ECUs need not report them any more. An ECU that misses this message
   * repeats its report.
   */
  async #tellReceived(attacks: ReadonlyMap<string, number>, signal: AbortSignal): Promise<void> {
    for (const [ecu, counter] of attacks) {
      if (signal.aborted) return;
      const told = await this.#tools.driverFor(ecu).reportReceived(counter, signal);
      if (!told.ok && !signal.aborted) {
        const text = `it still reports an attack that the Director knows already: ${told.reason}`;
        this.#tools.emit({ kind: 'warning', ecu, text });
      }
    }
  }

  #askTime(
    nonces: readonly string[],
    signal: AbortSignal,
  ): Promise<Exclude<Awaited<ReturnType<Backend['time']>>, BackendFailure> | NoAnswer> {
    return this.#retrying('asking for the time', signal, (inner) =>
      this.#tools.backend.time(nonces, inner),
    );
  }

  /** 5.4.4.2 step 1: the time, signed for our own nonce. */
  async #trustTime(time: unknown, nonce: string, signal: AbortSignal): Promise<Timed> {
    const verify = (): Verdict<{ timeMs: number }> => {
      if (time === null || time === undefined) {
        return refused('FREEZE', 'time attestation', 'the backend gave no signed time');
      }
      const { root } = this.#files.trust.director;
      return checkTime(time, root, nonce, this.#files.floorMs);
    };
    let verdict = verify();
    if (!verdict.ok && time !== null) {
      // The time key may have changed while the vehicle was off; newer Roots say so. They are signed by the Roots
      // before them and need no time; the verification later decides whether the last one has expired.
      const advanced = await this.#advanceDirectorRoot(signal);
      if (advanced !== undefined) return advanced;
      verdict = verify();
    }
    if (!verdict.ok) {
      if (verdict.code !== 'ROLLBACK') return verdict;
      const reason = `${verdict.reason}; if the earlier time was too far ahead, reset it with can-ota keys reset-time`;
      return { ...verdict, reason };
    }
    const { timeMs } = verdict.value;
    await this.#files.raiseFloor(timeMs);
    return { kind: 'time', timeMs };
  }

  /** Undefined: every Root of the Director is trusted now. */
  async #advanceDirectorRoot(signal: AbortSignal): Promise<TrustFault | NoAnswer | undefined> {
    const { trust, floorMs } = this.#files;
    const update = new RepositoryUpdate(trust.director, floorMs, { upTo: 'timestamp' });
    for (;;) {
      const request = update.next();
      if (request === undefined || request.role !== 'root') return undefined;
      const fetched = await this.#fetch('director', request, signal);
      if (fetched.kind !== 'answer') return fetched;
      const verdict = update.accept(fetched.answer);
      await this.#files.save({ ...trust, director: update.trust });
      // Expiry by an old time decides nothing.
      if (!verdict.ok) return verdict.code === 'FREEZE' ? undefined : verdict;
    }
  }

  /** 5.4.4.2 from step 2; undefined: both repositories are verified. */
  async #verify(nowMs: number, signal: AbortSignal): Promise<TrustedCheck | undefined> {
    const { vehicle, clock, emit } = this.#tools;
    const verification = new FullVerification({
      trust: this.#files.trust,
      nowMs,
      vin: vehicle.vin,
      ecus: this.#facts(),
      primary: true,
    });
    for (;;) {
      const wanted = verification.next();
      if (wanted === undefined) break;
      const fetched = await this.#fetch(wanted.repository, wanted.request, signal);
      if (fetched.kind !== 'answer') return fetched;
      const verdict = verification.accept(fetched.answer);
      // Verified files are kept, also when the next file is rejected: they guard against rollback.
      await this.#files.save(verification.trust);
      if (!verdict.ok) return this.#untrusted(verdict);
    }
    this.#verified = { atMs: clock.nowMs(), targets: verification.result() };
    await this.#files.setAttack(null);
    const { director, images } = this.#files.trust;
    emit({ kind: 'verified', director: versionsOf(director), images: versionsOf(images) });
    return undefined;
  }

  #facts(): EcuFacts[] {
    const { vehicle } = this.#tools;
    return vehicle.ecus.flatMap(({ name, hardwareId }) => {
      const serial = this.#serials.get(name);
      if (serial === undefined) return [];
      const sha256 = this.#tools.runs(name)?.sha256;
      const counter = this.#files.counters[serial];
      return [
        {
          serial,
          hardwareId,
          name,
          ...defined({ installedSha256: sha256, releaseCounter: counter }),
        },
      ];
    });
  }

  #runs(ecu: string): ReturnType<TrustedTools['runs']> {
    const image = this.#tools.runs(ecu);
    const serial = this.#serials.get(ecu);
    const target = this.#verified?.targets.find((each) => each.serial === serial);
    if (image === undefined || target === undefined || target.sha256 !== image.sha256) return image;
    return { ...image, name: target.name, length: target.length };
  }

  #fetch(
    repository: 'director' | 'images',
    request: Parameters<typeof fetchMetadata>[2],
    signal: AbortSignal,
  ): ReturnType<typeof fetchMetadata> {
    const { limits } = this.#options;
    const doing = `fetching ${request.file} of the ${repository} repository`;
    return fetchMetadata(
      {
        ...this.#tools,
        signal,
        onRetry: (retry) => this.#tools.emit({ kind: 'retry', doing, ...retry }),
        ...defined({ limits }),
      },
      repository,
      request,
    );
  }

  #retrying<T extends { readonly kind: string }>(
    doing: string,
    signal: AbortSignal,
    attempt: (signal: AbortSignal) => Promise<T | BackendFailure>,
  ): Promise<T | NoAnswer> {
    const { clock, random, emit } = this.#tools;
    const onRetry = (
      retry: Parameters<NonNullable<Parameters<typeof retrying>[1]['onRetry']>>[0],
    ) => emit({ kind: 'retry', doing, ...retry });
    return retrying(attempt, { clock, random, signal, onRetry });
  }

  /** The next manifest reports it (5.4.2.1.1: ATTACK). */
  async #untrusted({ code, where, reason }: TrustFault): Promise<TrustedCheck> {
    await this.#files.setAttack(code);
    this.#tools.emit({ kind: 'attack', code, where, reason });
    return { kind: 'untrusted', code, reason: `${where}: ${reason}` };
  }

  async #untrustedEcu(ecu: string, attack: AttackCode, reason: string): Promise<Failed> {
    await this.#files.setAttack(attack);
    const text = `${ecu} is not programmed: ${reason}`;
    this.#tools.emit({ kind: 'attack', code: attack, where: `metadata for ${ecu}`, reason: text });
    return { ok: false, code: 'UNTRUSTED', attack, reason: text, transient: false };
  }
}

/** The release under its ECU's name in the vehicle file; empty for an ECU that the file does not describe. */
function offerOf(target: VerifiedTarget, names: ReadonlyMap<string, string>): Offer[] {
  const ecu = names.get(target.serial);
  if (ecu === undefined) return [];
  const { name, length, sha256, version, releaseCounter, encryption, dependencies, address } =
    target;
  const hashes = furtherHashes(target.hashes);
  const download =
    encryption === undefined
      ? { file: name, size: length, sha256, ...defined({ address, hashes }) }
      : {
          file: encryption.file,
          size: encryption.length,
          sha256: encryption.sha256,
          ...defined({ address }),
        };
  return [
    {
      ecu,
      version,
      targetName: name,
      size: length,
      sha256,
      releaseCounter,
      download,
      encryption: encryption ?? null,
      dependencies,
      notes: target.notes.slice(0, MAX_NOTES),
      forced: target.forced,
    },
  ];
}

/** 401 and 403: the backend does not know us (any more) and will answer nothing else. */
function isUnwelcome({ code }: BackendFailure): boolean {
  return code === 'HTTP_401' || code === 'HTTP_403';
}

function interrupted(ecu: string): Failed {
  const reason = `${ecu}: stopped before its metadata was there`;
  return { ok: false, code: 'INTERRUPTED', reason, transient: true };
}

/** The network failed; this is no sign of an attack. */
function unavailable(ecu: string, reason: string): Failed {
  const text = `${ecu} is not programmed: ${reason}`;
  return { ok: false, code: 'BACKEND', reason: text, transient: true };
}
