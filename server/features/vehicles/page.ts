// The pages of vehicles: all of them, and one with its campaign, ECUs, remote features and reports.

import type { Clock } from '../../../src/core/clock.ts';
import type { Person } from '../../platform/auth/identity.ts';
import type { HttpProblem } from '../../platform/http/errors.ts';
import type { AppContext } from '../../platform/http/request.ts';
import { type PageFrame, show } from '../../platform/http/show-page.ts';
import type { OrderStore } from '../campaigns/order-store.ts';
import type { CampaignStore } from '../campaigns/store.ts';
import type { RemoteView } from '../commands/remote-view.ts';
import type { DeviceStore } from '../registry/store.ts';
import { telemetryView } from './checkin-view.ts';
import type { ReportStore } from './report-store.ts';
import type { VehicleStore } from './store.ts';
import { shownState } from './vehicle-state.ts';

const VEHICLES_SHOWN = 200;
const REPORTS_SHOWN = 200;
const CAMPAIGNS_SHOWN = 200;
const ORDERS_SHOWN = 5;

export type FormName = 'configuration' | 'command' | 'cancel';

/** A form that was refused: what was wrong with it, and what was filled in. */
export interface RefusedForm {
  readonly form?: FormName;
  readonly problem?: HttpProblem;
  readonly fields?: Readonly<Record<string, string>>;
}

export interface VehiclePagesParts {
  readonly frame: PageFrame;
  readonly clock: Clock;
  readonly vehicles: VehicleStore;
  readonly devices: DeviceStore;
  readonly reports: ReportStore;
  readonly campaigns: CampaignStore;
  readonly orders: OrderStore;
  readonly remote: RemoteView;
}

export class VehiclePages {
  readonly #parts: VehiclePagesParts;

  constructor(parts: VehiclePagesParts) {
    this.#parts = parts;
  }

  async all(ctx: AppContext, person: Person): Promise<void> {
    const { frame, clock, vehicles, reports, campaigns } = this.#parts;
    const known = await vehicles.list(VEHICLES_SHOWN);
    await show(ctx, frame, person, 'vehicles', {
      title: 'Vehicles',
      vin: undefined,
      reports: await reports.vehicles(VEHICLES_SHOWN),
      states: known.map((vehicle) => shownState(vehicle, clock.wallMs())),
      ecus: [],
      told: undefined,
      campaigns: await campaigns.underWay(VEHICLES_SHOWN),
      campaign: undefined,
      orders: [],
    });
  }

  async one(
    ctx: AppContext,
    person: Person,
    vin: string,
    { form, problem, fields = {} }: RefusedForm = {},
  ): Promise<void> {
    const { frame, clock, vehicles, reports, campaigns, orders, remote } = this.#parts;
    if (problem !== undefined) {
      ctx.status = problem.status;
      ctx.set(problem.headers);
    }
    const known = [await vehicles.find(vin)].filter((vehicle) => vehicle !== undefined);
    await show(ctx, frame, person, 'vehicles', {
      title: `Vehicle ${vin}`,
      vin,
      reports: await reports.latest(REPORTS_SHOWN, vin),
      states: known.map((vehicle) => shownState(vehicle, clock.wallMs())),
      ecus: await this.#ecusOf(vin),
      told: known.map(telemetryView).at(0),
      campaigns: await campaigns.underWay(CAMPAIGNS_SHOWN),
      campaign: await campaigns.last(vin),
      orders: await orders.list(vin, ORDERS_SHOWN),
      services: await remote.of(vin),
      form,
      problem: problem?.message,
      fields,
    });
  }

  /** The ECUs of a vehicle, each with what it said last. */
  async #ecusOf(vin: string): Promise<Record<string, unknown>[]> {
    const devices = await this.#parts.devices.ofVehicle(vin);
    const reports = await this.#parts.vehicles.reports(devices.map(({ serial }) => serial));
    return devices.map(({ serial, name, status }) => ({
      ...reports.get(serial),
      serial,
      name,
      status,
    }));
  }
}
