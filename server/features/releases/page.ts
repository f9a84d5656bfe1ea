// The pages for people: releases with the upload form, vehicles with their reports, the audit log.

import type Router from '@koa/router';
import type { Middleware } from 'koa';
import {
  AUDIT_CATEGORIES,
  auditPage,
  devicesPage,
  homePage as homePageOf,
  vehiclesPage,
} from '../../../src/contract/endpoints/people/pages.ts';
import { defined } from '../../../src/core/optional.ts';
import { sameVersion } from '../../../src/core/version-order.ts';
import { parseInput } from '../../platform/http/body.ts';
import type { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { AppContext, Person, RequestState } from '../../platform/http/request.ts';
import type { Services } from '../../platform/http/services.ts';
import { show } from '../../platform/http/show-page.ts';
import type { SignedRelease } from '../director/decide.ts';
import { deviceJson, twinText } from '../registry/routes.ts';
import { packageJson } from '../small-devices/receive-package.ts';
import { offeredReleases } from '../vehicles/offered.ts';
import { vehiclePage } from '../vehicles/page.ts';
import { shownState } from '../vehicles/vehicle-state.ts';

const AUDIT_PAGE = 50;
const REPORTS_SHOWN = 8;
const VEHICLES_SHOWN = 200;
const DEVICES_SHOWN = 1000;
const PACKAGES_SHOWN = 200;

export function pageRoutes(
  services: Services,
  sessions: Middleware<RequestState>,
): Router<RequestState> {
  const router = guardedRouter(services, sessions);

  router.answer(homePageOf, async (ctx) => {
    await homePage(ctx, services, ctx.state.person!, {});
  });

  router.answer(vehiclesPage, async (ctx) => {
    const person = ctx.state.person!;
    const { vin } = parseInput(vehiclesPage.request.query, { vin: ctx.query.vin });
    if (vin !== undefined) {
      await vehiclePage(ctx, services, person, vin, {});
      return;
    }
    const known = await services.vehicles.list(VEHICLES_SHOWN);
    await show(ctx, services, person, 'vehicles', {
      title: 'Vehicles',
      vin,
      reports: await services.reports.vehicles(VEHICLES_SHOWN),
      states: known.map((vehicle) => shownState(vehicle, services.clock.wallMs())),
      ecus: [],
      told: undefined,
      campaigns: await services.campaigns.underWay(VEHICLES_SHOWN),
      campaign: undefined,
      orders: [],
    });
  });

  router.answer(devicesPage, async (ctx) => {
    const person = ctx.state.person!;
    const devices = await services.devices.list(DEVICES_SHOWN);
    const twins = await services.devices.twins();
    await show(ctx, services, person, 'devices', {
      title: 'Devices',
      devices: devices.map((device) => {
        const twin = twins.get(device.serial);
        return { ...deviceJson(device), twin: twin === undefined ? null : twinText(twin) };
      }),
    });
  });

  router.answer(auditPage, async (ctx) => {
    const person = ctx.state.person!;
    const { category, q, before } = parseInput(auditPage.request.query, { ...ctx.query });
    // One more than is shown tells whether there is an older page.
    const found = await services.audit.list({ limit: AUDIT_PAGE + 1, before, category, text: q });
    const entries = found.slice(0, AUDIT_PAGE);
    const filter = { ...defined({ category }), ...(q === '' ? {} : { q }) };
    const address = (more: Record<string, string>): string => {
      const query = new URLSearchParams({ ...filter, ...more }).toString();
      return `${ctx.state.base}/audit${query === '' ? '' : `?${query}`}`;
    };
    await show(ctx, services, person, 'audit', {
      title: 'Audit log',
      entries,
      categories: AUDIT_CATEGORIES,
      category,
      q,
      newest: before === undefined ? undefined : address({}),
      older: found.length > AUDIT_PAGE ? address({ before: entries.at(-1)!.id }) : undefined,
    });
  });

  return router;
}

/** The releases; with the upload form for administrators, which keeps its values when it was refused. */
export async function homePage(
  ctx: AppContext,
  services: Services,
  person: Person,
  form: {
    readonly problem?: HttpProblem;
    readonly fields?: ReadonlyMap<string, string>;
    /** The form below the packages was refused. */
    readonly withdrawal?: {
      readonly problem: HttpProblem;
      readonly fields: Readonly<Record<string, string>>;
    };
  },
): Promise<void> {
  const releases = services.releases.all();
  const newest = new Set((await offeredReleases(services, [])).map(({ file }) => file));
  const { uptane } = services;
  const signed = uptane?.releases.published === true ? signedReleases(services) : undefined;
  const released = releases.find((release) => release.file === ctx.query.released);
  const problem = form.problem ?? form.withdrawal?.problem;
  if (problem !== undefined) {
    ctx.status = problem.status;
    ctx.set(problem.headers);
  }
  await show(ctx, services, person, 'home', {
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
    reports: await services.reports.latest(REPORTS_SHOWN),
    maxUploadBytes: services.maxUploadBytes,
    released,
    problem: form.problem?.message,
    fields: Object.fromEntries(form.fields ?? []),
    packages: (await services.packages.list(PACKAGES_SHOWN)).map(packageJson),
    withdrawal: {
      problem: form.withdrawal?.problem.message,
      fields: form.withdrawal?.fields ?? {},
    },
  });
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

function signedReleases({ uptane }: Services): ReadonlyMap<string, readonly SignedRelease[]> {
  return Map.groupBy(uptane?.releases.releases() ?? [], contentOf);
}
