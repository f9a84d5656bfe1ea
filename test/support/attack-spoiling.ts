// An update that is waiting for a vehicle, and somebody who spoils the way to it: in virtual time, or on a real socket.

import { listen, RunningClock } from './attack-http.ts';
import { AttackedVehicle, type Refusal } from './attack-vehicle.ts';

export const UNAVAILABLE = { outcome: 'BACKEND_UNAVAILABLE', trusted: 'may move on' } as const;
export const SPOILT = { outcome: 'DOWNLOAD_INTEGRITY_FAILED', trusted: 'may move on' } as const;

/** An update is waiting, and somebody spoils the way to it; then he goes away. */
export async function spoiling(
  spoil: (w: AttackedVehicle) => unknown,
  how: Refusal & { readonly check?: (w: AttackedVehicle, startMs: number) => void } = {},
): Promise<string> {
  const w = await AttackedVehicle.start();
  w.release(w.honest, 'EDT', '3.0.0');
  await spoil(w);
  const startMs = w.clock.nowMs();
  const code = await w.refusal(how);
  how.check?.(w, startMs);
  await w.recovers('EDT', '4.0.0');
  return code;
}

/** The update that is waiting. */
export function fileOf(w: AttackedVehicle): string {
  return [...w.backend.images.keys()].find((file) => file.startsWith('EDT-3.0.0'))!;
}

/** The same over a real socket and in real time. */
export async function onSocket(
  interfere: Parameters<typeof listen>[1],
  how: Refusal & {
    readonly session?: boolean;
    readonly prepare?: (w: AttackedVehicle) => void;
  } = {},
): Promise<{ readonly code: string; readonly asked: readonly string[] }> {
  const w = await AttackedVehicle.start({ clock: (wallMs) => new RunningClock(wallMs) });
  w.release(w.honest, 'EDT', '3.0.0');
  how.prepare?.(w);
  const { backend, asked } = await listen(w, interfere, how);
  const code = await w.refusal({ ...how, tmu: { backend } });
  return { code, asked };
}
