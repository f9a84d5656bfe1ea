// The page of the releases and packages, with the upload form.

import type Router from '@koa/router';
import { homePage } from '../../../src/contract/endpoints/people/pages.ts';
import { sameVersion } from '../../../src/core/version-order.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import type { Person } from '../../platform/auth/identity.ts';
import type { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { type AppContext, type RequestState, requiredPerson } from '../../platform/http/request.ts';
import { type PageFrame, show } from '../../platform/http/show-page.ts';
import type { DevicePackageStore } from '../small-devices/package-store.ts';
import { packageJson } from '../small-devices/receive-package.ts';
import type { ReportStore } from '../vehicles/report-store.ts';
import type { AvailableReleases } from './available.ts';
import type { ReleaseStore } from './store.ts';

const REPORTS_SHOWN = 8;
const PACKAGES_SHOWN = 200;

export interface HomePageParts {
  readonly frame: PageFrame;
  readonly releases: ReleaseStore;
  readonly available: AvailableReleases;
  readonly reports: ReportStore;
  readonly packages: DevicePackageStore;
  readonly maxUploadBytes: number;
}

/** A form of the page that was refused: what was wrong with it, and what was filled in. */
export interface RefusedRelease {
  readonly problem?: HttpProblem;
  readonly fields?: ReadonlyMap<string, string>;
  /** The form below the packages was refused. */
  readonly withdrawal?: {
    readonly problem: HttpProblem;
    readonly fields: Readonly<Record<string, string>>;
  };
}

export class HomePage {
  readonly #parts: HomePageParts;

  constructor(parts: HomePageParts) {
    this.#parts = parts;
  }

  /** Administrators see the upload form, which keeps its values when it was refused. */
  async show(ctx: AppContext, person: Person, form: RefusedRelease = {}): Promise<void> {
    const { frame, available, reports, packages, maxUploadBytes } = this.#parts;
    const releases = this.#parts.releases.all();
    const newest = new Set((await available.newest([])).map(({ file }) => file));
    const listed = available.signed();
    const signed = listed && Map.groupBy(listed, contentOf);
    const released = releases.find((release) => release.file === ctx.query.released);
    const problem = form.problem ?? form.withdrawal?.problem;
    if (problem !== undefined) {
      ctx.status = problem.status;
      ctx.set(problem.headers);
    }
    await show(ctx, frame, person, 'home', {
      title: 'Releases',
      /** What is uploaded here is offered only when it is signed, too. */
      signing: signed !== undefined,
      releases: releases.map((release) => {
        const found = signed?.get(contentOf(release))?.find(isSigned(release));
        return {
          ...release,
          newest: newest.has(release.file),
          // Undefined where nothing has to be signed.
          signed: signed === undefined ? undefined : found !== undefined,
          forced: found?.forced === true,
        };
      }),
      reports: await reports.latest(REPORTS_SHOWN),
      maxUploadBytes,
      released,
      problem: form.problem?.message,
      fields: Object.fromEntries(form.fields ?? []),
      packages: (await packages.list(PACKAGES_SHOWN)).map(packageJson),
      withdrawal: {
        problem: form.withdrawal?.problem.message,
        fields: form.withdrawal?.fields ?? {},
      },
    });
  }
}

export function homeRoutes(guard: RouteGuard, page: HomePage): Router<RequestState> {
  const router = guardedRouter(guard);

  router.answer(homePage, async (ctx) => {
    await page.show(ctx, requiredPerson(ctx));
  });

  return router;
}

interface Content {
  readonly ecu: string;
  readonly version: string;
  readonly sha256: string;
}

function contentOf({ ecu, sha256 }: Content): string {
  return `${ecu} ${sha256}`;
}

/** The same bytes under another ECU or version are another release. */
function isSigned({ version }: Content): (signed: Content) => boolean {
  return (signed) => sameVersion(signed.version, version);
}
