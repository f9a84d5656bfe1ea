// What vehicles ask and tell about versions: /latest_version and /report_versions.

import { createHash } from 'node:crypto';
import type Router from '@koa/router';
import { latestVersion } from '../../../src/contract/endpoints/vehicles/latest-version.ts';
import { reportVersions } from '../../../src/contract/endpoints/vehicles/report-versions.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { type RouteGuard, requireOwnVehicle } from '../../platform/auth/access.ts';
import { networkOf } from '../../platform/auth/addresses.ts';
import { parseInput, readJson } from '../../platform/http/body.ts';
import { matchesEtag } from '../../platform/http/byte-range.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { AppContext, RequestState } from '../../platform/http/request.ts';
import type { AuditLog } from '../audit/store.ts';
import type { DeviceStore } from '../registry/store.ts';
import type { AvailableRelease, AvailableReleases } from '../releases/available.ts';
import { vinOf } from './asked-vehicle.ts';
import type { ReportStore } from './report-store.ts';

// Built once: zod compiles a schema, which costs more than using it.
const ecuQuery = latestVersion.request.query.pick({ ecu: true });

export interface VersionRoutesParts {
  readonly guard: RouteGuard;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly available: AvailableReleases;
  readonly devices: DeviceStore;
  readonly reports: ReportStore;
}

/** What is new, and what a vehicle runs. */
export function versionRoutes(parts: VersionRoutesParts): Router<RequestState> {
  const router = guardedRouter(parts.guard);

  router.answer(latestVersion, async (ctx) => {
    const vin = vinOf(ctx);
    const ecus = parseInput(ecuQuery, { ecu: ctx.query.ecu }).ecu;
    const offered = await parts.available.newest(ecus);
    const body = JSON.stringify({ vin: vin ?? null, releases: offered.map(releaseJson) });
    // The tag covers what the Director decides by: a vehicle that is told 304 does not ask it.
    const revision = parts.available.revision;
    const devices = vin === undefined ? [] : await parts.devices.revisionOf(vin);
    const decidedBy = JSON.stringify([revision, devices]);
    const etag = `"${createHash('sha256').update(decidedBy).update(body).digest('base64url')}"`;
    ctx.set('ETag', etag);
    ctx.set('Cache-Control', 'private, no-cache');
    ctx.vary('X-Vehicle-VIN');
    if (matchesEtag(ctx.headers['if-none-match'], etag)) {
      ctx.status = 304;
      return;
    }
    ctx.type = 'application/json';
    ctx.body = body;
  });

  router.answer(reportVersions, async (ctx) => {
    const body = await readJson(ctx, parts.clock);
    const report = parseInput(reportVersions.request.body, body.value);
    requireOwnVehicle(ctx, report.vin);
    const stranger = strangerOf(ctx);
    if (stranger !== undefined) await parts.guard.gate.stranger(ctx);
    if (await parts.reports.add(report, ctx.state.address, stranger)) {
      await parts.audit.record({
        action: 'report',
        stranger: stranger !== undefined,
        who: report.vin,
        address: ctx.state.address,
        detail: `${report.outcome} ${report.ecus.map((ecu) => `${ecu.name} ${ecu.version ?? '?'}`).join(', ')}`,
      });
    }
    // The digest shows that this server has the report: the vehicle deletes its copy then.
    ctx.set('X-Checksum-SHA256', createHash('sha256').update(body.bytes).digest('hex'));
    ctx.status = 204;
  });

  return router;
}

function releaseJson(release: AvailableRelease): Record<string, unknown> {
  return {
    ecu: release.ecu,
    version: release.version,
    file: release.file,
    size: release.size,
    sha256: release.sha256,
    notes: release.notes,
    url: `/ota_download/${encodeURIComponent(release.file)}`,
  };
}

/** The network of a vehicle that is not logged in, where vehicles need no log-in. */
function strangerOf(ctx: AppContext): string | undefined {
  return ctx.state.device === undefined ? networkOf(ctx.state.address) : undefined;
}
