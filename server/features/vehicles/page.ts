// The page of one vehicle: its campaign, ECUs, configuration, commands, measured data and reports.

import type { HttpProblem } from '../../platform/http/errors.ts';
import type { AppContext, Person } from '../../platform/http/request.ts';
import type { Services } from '../../platform/http/services.ts';
import { show } from '../../platform/http/show-page.ts';
import { configurationView } from '../commands/views.ts';
import { telemetryView } from './checkin-view.ts';
import { shownState } from './vehicle-state.ts';

const REPORTS_SHOWN = 200;
const CAMPAIGNS_SHOWN = 200;
const ORDERS_SHOWN = 5;
const COMMANDS_SHOWN = 20;

export type FormName = 'configuration' | 'command' | 'cancel';

/** A form that was refused: what was wrong with it, and what was filled in. */
export interface RefusedForm {
  readonly form?: FormName;
  readonly problem?: HttpProblem;
  readonly fields?: Readonly<Record<string, string>>;
}

export async function vehiclePage(
  ctx: AppContext,
  services: Services,
  person: Person,
  vin: string,
  { form, problem, fields = {} }: RefusedForm,
): Promise<void> {
  if (problem !== undefined) {
    ctx.status = problem.status;
    ctx.set(problem.headers);
  }
  const known = [await services.vehicles.find(vin)].filter((vehicle) => vehicle !== undefined);
  await show(ctx, services, person, 'vehicles', {
    title: `Vehicle ${vin}`,
    vin,
    reports: await services.reports.latest(REPORTS_SHOWN, vin),
    states: known.map((vehicle) => shownState(vehicle, services.clock.wallMs())),
    ecus: await ecusOf(services, vin),
    told: known.map(telemetryView).at(0),
    campaigns: await services.campaigns.underWay(CAMPAIGNS_SHOWN),
    campaign: await services.campaigns.last(vin),
    orders: await services.cancelOrders.list(vin, ORDERS_SHOWN),
    services: await servicesOf(services, vin),
    form,
    problem: problem?.message,
    fields,
  });
}

/** Undefined for a vehicle of which no device is registered: nobody could tell it anything. */
async function servicesOf(
  { devices, configurations, commands, telemetry, db }: Services,
  vin: string,
): Promise<Record<string, unknown> | undefined> {
  if ((await devices.ofVehicle(vin)).length === 0) return undefined;
  return {
    configuration: await configurationView(configurations, vin),
    commands: await commands.list(vin, { limit: COMMANDS_SHOWN }),
    catalogue: (await commands.catalogue(vin))?.catalogue,
    counts: await telemetry.counts(vin),
    samples: await telemetry.latest(vin),
    /** For the next order: sending the form twice makes one command. */
    key: db.newId(),
  };
}

/** The ECUs of a vehicle, each with what it said last. */
async function ecusOf(services: Services, vin: string): Promise<Record<string, unknown>[]> {
  const devices = await services.devices.ofVehicle(vin);
  const reports = await services.vehicles.reports(devices.map(({ serial }) => serial));
  return devices.map(({ serial, name, status }) => ({
    ...reports.get(serial),
    serial,
    name,
    status,
  }));
}
