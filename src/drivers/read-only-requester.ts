// Lets only those requests through that leave an ECU as it is, for a tester that looks and never changes anything.

import { toHex } from '../core/bytes.ts';
import type { KeepAlive, RequestOptions, UdsReply, UdsRequester } from '../uds/reply.ts';
import { Sid } from '../uds/services/all.ts';
import { Session } from '../uds/sid.ts';

/**
 * Allowed: TesterPresent (3E 00), ReadDataByIdentifier (22), the default and the extended session (10 01, 10 03), and
 * requestSeed (27 with an odd level), which counts no attempt (ISO 14229-1 annex I). The extended session ends by
 * itself after S3.
 */
export function isReadOnly([sid, second]: Uint8Array): boolean {
  switch (sid) {
    case Sid.testerPresent:
      return second === 0;
    case Sid.readDataByIdentifier:
      return true;
    case Sid.diagnosticSessionControl:
      return second === Session.default || second === Session.extended;
    case Sid.securityAccess:
      return second !== undefined && second % 2 === 1 && second < 0x7f;
    default:
      return false;
  }
}

/** Throws RangeError for every other request, before anything is sent. */
export class ReadOnlyRequester implements UdsRequester {
  readonly #inner: UdsRequester;

  constructor(inner: UdsRequester) {
    this.#inner = inner;
  }

  async request(request: Uint8Array, options?: RequestOptions): Promise<UdsReply> {
    if (!isReadOnly(request)) throw refused(request);
    return this.#inner.request(request, options);
  }

  /** A functional request reaches ECUs that are not looked at. */
  async broadcast(request: Uint8Array): Promise<void> {
    throw refused(request);
  }

  /** Never to all ECUs. */
  keepAlive(whom: KeepAlive): void {
    this.#inner.keepAlive(whom === 'all-ecus' ? 'this-ecu' : whom);
  }
}

function refused(request: Uint8Array): RangeError {
  return new RangeError(`${toHex(request).toUpperCase()} could change an ECU and is not sent`);
}
