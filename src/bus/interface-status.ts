// What sysfs says about a CAN interface, cheap enough to be read often. Without zod, because threads load this file.

import { readKernelFile } from '../core/kernel-files.ts';
import { CANFD_MTU } from './linux-frame.ts';

/** ARPHRD_CAN of linux/if_arp.h, as in /sys/class/net/NAME/type. */
const ARPHRD_CAN = '280';
const IFF_UP = 0x1;
/** IFNAMSIZ of linux/if.h without the zero at the end. */
export const MAX_INTERFACE_NAME = 15;

/** What sysfs says at present. */
export interface InterfaceStatus {
  /** Changes when an interface was removed and created again. */
  readonly index: string;
  readonly isCan: boolean;
  readonly up: boolean;
  /** 16: CAN 2.0 only; 72: CAN FD, too. */
  readonly mtu: number;
}

/** A name that the kernel accepts for an interface, and that stays inside its folder of sysfs. */
export function isInterfaceName(name: string): boolean {
  return (
    /^[^\s/:%]+$/.test(name) && name.length <= MAX_INTERFACE_NAME && name !== '.' && name !== '..'
  );
}

function sysfs(name: string, file: string): string | undefined {
  return readKernelFile(`/sys/class/net/${name}/${file}`);
}

/** Undefined where there is no such interface. */
export function interfaceStatus(name: string): InterfaceStatus | undefined {
  if (!isInterfaceName(name)) return undefined;
  const index = sysfs(name, 'ifindex');
  if (index === undefined) return undefined;
  return {
    index,
    isCan: sysfs(name, 'type') === ARPHRD_CAN,
    up: (Number(sysfs(name, 'flags') ?? 0) & IFF_UP) !== 0,
    mtu: Number(sysfs(name, 'mtu') ?? 0),
  };
}

/** A counter of /sys/class/net/NAME/statistics. */
export function interfaceCounter(
  name: string,
  counter: `${'rx' | 'tx'}_${'packets' | 'bytes' | 'errors' | 'dropped'}`,
): number | undefined {
  const text = sysfs(name, `statistics/${counter}`);
  return text === undefined ? undefined : Number(text);
}

/** Returns whether the protocol CAN_RAW exists: built in, or its modules are loaded. */
export function canRawLoaded(): boolean {
  return readKernelFile('/proc/net/can/version') !== undefined;
}

export function carriesFd(status: InterfaceStatus): boolean {
  return status.mtu >= CANFD_MTU;
}
