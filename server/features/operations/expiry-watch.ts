// Says in time what runs out: Roots, Targets, what the online keys sign, tokens of tools; for log, /healthz, /metrics and pages.

import type { Clock, Timer } from '../../../src/core/clock.ts';
import { describeError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/core/logger.ts';
import { type ExpiryStage, expiryStage, expiryWords } from '../../../src/trust/expiry-stage.ts';
import type { RepositoryName } from '../../../src/trust/full-verification.ts';
import { parseSignedRole } from '../../../src/trust/role-signing.ts';
import type { Uptane } from '../director/uptane.ts';
import type { ServiceTokenStore } from '../registry/service-token-store.ts';
import { type TokenExpiry, tokenExpiryOf } from '../registry/token-expiry.ts';
import { ONLINE_ROLES } from '../releases/root-chain.ts';
import type { WatchedFile } from '../releases/signed-releases.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** How often the log is brought up to date. */
const LOOK_EVERY_MS = HOUR_MS;
/** How often an open case of the last week is logged again. */
const REPEAT_AFTER_MS = DAY_MS;

/** One signed file and when it ends. */
export interface Expiry {
  readonly repository: RepositoryName;
  readonly role: string;
  readonly version: number;
  /** ISO 8601. */
  readonly expires: string;
  readonly expiresMs: number;
  /** Whole days, negative when it is over. */
  readonly daysLeft: number;
  readonly stage: ExpiryStage;
  /** Roles whose keys this file names: they end with it. Of a Root only. */
  readonly onlineRoles: readonly string[];
  /** For people: what happens and what to do. Undefined while nothing has to be done. */
  readonly notice: string | undefined;
}

export interface ExpiryWatchOptions {
  readonly uptane: Uptane | undefined;
  readonly tokens: Pick<ServiceTokenStore, 'list'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class ExpiryWatch {
  readonly #options: ExpiryWatchOptions;
  /** The stage that was logged last, and when, by repository and role. */
  readonly #logged = new Map<string, { readonly stage: ExpiryStage; readonly atMs: number }>();
  /** The stage that was logged last, by the name of a token. */
  readonly #loggedTokens = new Map<string, ExpiryStage>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: ExpiryWatchOptions) {
    this.#options = options;
  }

  /** Logs at once, and again whenever a file comes nearer to its end. */
  start(): void {
    if (this.#stopped) return;
    void this.look()
      .catch((error) => {
        this.#options.logger.error(
          { error: describeError(error) },
          'when metadata and tokens expire could not be read',
        );
      })
      .finally(() => {
        if (this.#stopped) return;
        this.#timer = this.#options.clock.after('expiry-watch', LOOK_EVERY_MS, () => this.start());
      });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** All that is watched, the nearest end first. */
  async expiries(): Promise<readonly Expiry[]> {
    const { uptane, clock } = this.#options;
    if (uptane === undefined) return [];
    const nowMs = clock.wallMs();
    const files = await uptane.watchedFiles();
    return files
      .map(([repository, file]) => expiryOf(repository, file, nowMs))
      .sort((a, b) => a.expiresMs - b.expiresMs);
  }

  /** Tokens that end, the nearest end first. */
  async tokenExpiries(): Promise<readonly TokenExpiry[]> {
    const { tokens, clock } = this.#options;
    const nowMs = clock.wallMs();
    return (await tokens.list())
      .flatMap((token) => tokenExpiryOf(token, nowMs) ?? [])
      .sort((a, b) => a.expiresMs - b.expiresMs);
  }

  /** Sentences for people who are logged in, the most urgent first. */
  async notices(): Promise<readonly string[]> {
    const tokens = (await this.tokenExpiries()).filter(({ dormant }) => !dormant);
    return [...(await this.expiries()), ...tokens].flatMap(({ notice }) => notice ?? []);
  }

  /** Logs what has changed since it was logged, and once a day what is still open. */
  async look(): Promise<void> {
    await this.#lookAtMetadata();
    await this.#lookAtTokens();
  }

  /** Each step is told once, also for a token that is not used any more. */
  async #lookAtTokens(): Promise<void> {
    const { logger } = this.#options;
    const due = (await this.tokenExpiries()).filter(({ notice }) => notice !== undefined);
    for (const { name, role, expires, daysLeft, stage, notice = '', dormant } of due) {
      if (this.#loggedTokens.get(name) === stage) continue;
      this.#loggedTokens.set(name, stage);
      const fields = { token: name, role, expires, daysLeft };
      if ((stage === 'day' || stage === 'expired') && !dormant) logger.error(fields, notice);
      else logger.warn(fields, notice);
    }
    // A token that was removed, or the next one of this name.
    for (const name of this.#loggedTokens.keys()) {
      if (!due.some((token) => token.name === name)) this.#loggedTokens.delete(name);
    }
  }

  async #lookAtMetadata(): Promise<void> {
    const { clock, logger } = this.#options;
    const nowMs = clock.nowMs();
    for (const expiry of await this.expiries()) {
      const { repository, role, version, expires, daysLeft, stage, notice } = expiry;
      const key = `${repository} ${role}`;
      const before = this.#logged.get(key);
      const fields = { repository, role, version, expires, daysLeft };
      if (notice === undefined) {
        if (before !== undefined) logger.info(fields, `${key} is renewed`);
        this.#logged.delete(key);
        continue;
      }
      const repeat = stage !== 'month' && nowMs - (before?.atMs ?? 0) >= REPEAT_AFTER_MS;
      if (before?.stage === stage && !repeat) continue;
      this.#logged.set(key, { stage, atMs: nowMs });
      if (stage === 'day' || stage === 'expired') logger.error(fields, notice);
      else logger.warn(fields, notice);
    }
  }
}

function expiryOf(repository: RepositoryName, file: WatchedFile, nowMs: number): Expiry {
  const { role, bytes, renewedAfterMs } = file;
  const { version, expires } = parseSignedRole(bytes).signed;
  const expiresMs = Date.parse(expires);
  const leftMs = expiresMs - nowMs;
  const renewed = renewedAfterMs !== undefined;
  const stage = renewed ? renewedStage(leftMs, renewedAfterMs) : expiryStage(expiresMs, nowMs);
  const onlineRoles = role === 'root' ? ONLINE_ROLES[repository] : [];
  const name = `${repository} ${NAMES[role] ?? role} ${version}`;
  return {
    repository,
    role,
    version,
    expires,
    expiresMs,
    daysLeft: Math.floor(leftMs / DAY_MS),
    stage,
    onlineRoles,
    notice:
      stage === 'valid'
        ? undefined
        : `${name} ${expiryWords(expiresMs, nowMs)} (${expires}): ${consequence(stage, onlineRoles)}${remedy(role, renewed)}`,
  };
}

const NAMES: Readonly<Record<string, string>> = {
  root: 'Root',
  targets: 'Targets',
  snapshot: 'Snapshot',
  timestamp: 'Timestamp',
};

/** The server renews with half of the time left: less than that means that it cannot. */
function renewedStage(leftMs: number, renewedAfterMs: number): ExpiryStage {
  if (leftMs <= 0) return 'expired';
  if (leftMs <= renewedAfterMs / 2) return 'day';
  return leftMs <= renewedAfterMs * 0.9 ? 'week' : 'valid';
}

function consequence(stage: ExpiryStage, onlineRoles: readonly string[]): string {
  const keys = onlineRoles.join(', ');
  if (stage === 'expired') {
    const dead = keys === '' ? '' : ` The online keys (${keys}) have ended with it.`;
    return `vehicles refuse every update.${dead} `;
  }
  const ending = keys === '' ? '' : ` The online keys (${keys}) end with it.`;
  return `vehicles then refuse every update.${ending} `;
}

function remedy(role: string, renewed: boolean): string {
  if (renewed) return 'It is renewed without people, and that failed: see the errors in the log';
  return role === 'root' || role === 'targets'
    ? 'Renew it: can-ota keys refresh, then can-ota release push'
    : `Renew it: its owner signs it again and uploads it to /metadata/${role}`;
}
