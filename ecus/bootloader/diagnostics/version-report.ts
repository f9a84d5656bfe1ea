// The signed version report of an ECU (Uptane 5.4.2.1.2): its image, the last detected attack, and its time.

import { fromHex } from '../../../src/core/bytes.ts';
import { signVersionReport, type VersionReport } from '../../../src/trust/manifest.ts';
import { signerFromSeed } from '../../../src/trust/signing-key.ts';
import { Nrc } from '../../../src/uds/nrc.ts';
import { verifyBank } from '../boot/boot-check.ts';
import type { BootedEcu } from '../device.ts';

/** JSON text for DID FD22, with a new counter each time; NRC 22 for an ECU without a signing key. */
export async function versionReport(
  device: BootedEcu,
): Promise<Uint8Array | { readonly nrc: Nrc }> {
  const { identity, trust } = device;
  const { serial, signingSeed } = identity.content;
  if (!identity.locked || serial === null || signingSeed === null || trust.fault !== undefined) {
    return { nrc: Nrc.conditionsNotCorrect };
  }
  const installed = await installedImage(device);
  const { counter, attack } = await trust.nextReport();
  const { timeMs } = trust.counters;
  const report: VersionReport = {
    ecu: serial,
    installed,
    attack,
    time: timeMs === 0 ? null : new Date(timeMs).toISOString(),
    counter,
  };
  const signed = await signVersionReport(report, signerFromSeed(fromHex(signingSeed)));
  return new TextEncoder().encode(JSON.stringify(signed));
}

/** The running image; an ECU that waits in its bootloader reports an empty image. */
async function installedImage(device: BootedEcu): Promise<VersionReport['installed']> {
  const { flash, running, ecu } = device;
  if (running.bank === 'recovery') {
    return { name: 'none', version: running.version, length: 0, hashes: { sha256: EMPTY_SHA256 } };
  }
  const { version, length, sha256 } = flash.record.banks[running.bank];
  const verified = await verifyBank(device, running.bank);
  const header = verified.ok ? verified.value.header : undefined;
  const name = header?.name ?? factoryFileName(ecu.name, version, sha256);
  return { name, version, length, hashes: { sha256 } };
}

/** SHA-256 of no bytes. */
const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** The name that a backend would give the factory image, which was never uploaded. */
function factoryFileName(ecuName: string, version: string, sha256: string): string {
  return `${ecuName}-${version}-${sha256.slice(0, 12)}.bin`;
}
