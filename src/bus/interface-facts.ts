// What the kernel knows about a CAN interface: sysfs, and `ip -j -d link` for bit rates and the controller's state.

import { execFile } from 'node:child_process';
import { z } from 'zod';
import type { BusState } from './can-bus.ts';
import { type InterfaceStatus, interfaceStatus } from './interface-status.ts';

export interface InterfaceFacts extends InterfaceStatus {
  /** `vcan`, `vxcan`, `can`; undefined where `ip` does not say. */
  readonly driver: string | undefined;
  readonly bitrate: number | undefined;
  readonly dataBitrate: number | undefined;
  /** State of the controller, undefined where there is none. */
  readonly state: BusState | undefined;
  /** TEC and REC, where the driver tells them. */
  readonly errorCounters: { readonly transmit: number; readonly receive: number } | undefined;
}

const timing = z.looseObject({ bitrate: z.number() });
const linkSchema = z.array(
  z.looseObject({
    linkinfo: z
      .looseObject({
        info_kind: z.string().optional(),
        info_data: z
          .looseObject({
            state: z.string().optional(),
            bittiming: timing.optional(),
            data_bittiming: timing.optional(),
            berr_counter: z.looseObject({ tx: z.number(), rx: z.number() }).optional(),
          })
          .optional(),
      })
      .optional(),
  }),
);

const STATES: Readonly<Record<string, BusState>> = {
  'ERROR-ACTIVE': 'active',
  'ERROR-WARNING': 'warning',
  'ERROR-PASSIVE': 'passive',
  'BUS-OFF': 'bus-off',
  STOPPED: 'down',
};

/** Reads the output of `ip -j -d link show`; the result is empty where it cannot be read. */
export function parseIpLink(
  text: string,
): Pick<InterfaceFacts, 'driver' | 'bitrate' | 'dataBitrate' | 'state' | 'errorCounters'> {
  let info: NonNullable<z.infer<typeof linkSchema>[number]['linkinfo']> | undefined;
  try {
    info = linkSchema.parse(JSON.parse(text))[0]?.linkinfo;
  } catch {
    // The output of another `ip`: sysfs has what is needed.
  }
  const data = info?.info_data;
  const counters = data?.berr_counter;
  return {
    driver: info?.info_kind,
    bitrate: data?.bittiming?.bitrate,
    dataBitrate: data?.data_bittiming?.bitrate,
    state: data?.state === undefined ? undefined : STATES[data.state],
    errorCounters: counters && { transmit: counters.tx, receive: counters.rx },
  };
}

/** Undefined where there is no such interface. On a machine without `ip` some facts are missing. */
export async function interfaceFacts(name: string): Promise<InterfaceFacts | undefined> {
  const status = interfaceStatus(name);
  if (status === undefined) return undefined;
  const text = await new Promise<string>((resolve) => {
    execFile('ip', ['-j', '-d', 'link', 'show', 'dev', name], { timeout: 5000 }, (error, stdout) =>
      resolve(error === null ? stdout : ''),
    );
  });
  return { ...status, ...parseIpLink(text) };
}
