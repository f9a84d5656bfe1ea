// Service 84 of an ECU: each message is authenticated by itself. An open session alone does not allow durable changes.

import {
  byteAt,
  concatBytes,
  constantTimeEqual,
  equalBytes,
  fromHex,
  uintToBytes,
} from '../../../src/core/bytes.ts';
import { defined } from '../../../src/core/optional.ts';
import type { Random } from '../../../src/core/random.ts';
import {
  AUTHORITY_CALCULATION,
  AUTHORITY_CHALLENGE_BYTES,
  AUTHORITY_MAC_BYTES,
  type AuthorityRole,
  challengeMac,
  listenerKey,
  requestMac,
  responseMac,
} from '../../../src/trust/authority.ts';
import { Nrc } from '../../../src/uds/nrc.ts';
import { withoutSuppressBit } from '../../../src/uds/request-form.ts';
import { admit } from '../../../src/uds/server-dispatch.ts';
import { negativeResponse } from '../../../src/uds/server-engine.ts';
import type {
  Reply,
  ServiceContext,
  ServiceHandler,
  ServiceHandlers,
} from '../../../src/uds/server-types.ts';
import * as securedData from '../../../src/uds/services/secured-data-transmission.ts';
import type { FactoryIdentity } from '../factory/identity.ts';

const LAST_COUNTER = 0xffff;

/** The last accepted message and its answer. */
interface Answered {
  readonly mac: Uint8Array;
  readonly response: Uint8Array;
}

/** The services that are allowed inside service 84, with their handlers. */
export interface InsideServices {
  readonly securable: ReadonlySet<number>;
  readonly handlers: ServiceHandlers;
}

/** State from a boot to the next reset. Challenge and counter are in RAM, so that no message needs a flash write. */
export class SecuredData {
  readonly #identity: FactoryIdentity;
  readonly #random: Random;
  /** A derived key for each role, with the public key it belongs to, because the factory can replace the TMU. */
  readonly #keys = new Map<
    AuthorityRole,
    { readonly speaker: string; readonly key: Uint8Array | undefined }
  >();
  #challenge: Uint8Array;
  #counter = 0;
  #last: Answered | undefined;

  constructor(identity: FactoryIdentity, random: Random) {
    this.#identity = identity;
    this.#random = random;
    this.#challenge = random.bytes(AUTHORITY_CHALLENGE_BYTES);
  }

  /** The value of DID FD24. Reading it changes nothing. */
  challenge(): Uint8Array {
    const key = this.#keyOf('tester');
    return concatBytes(
      this.#challenge,
      uintToBytes(this.#counter, 2),
      key === undefined
        ? new Uint8Array(AUTHORITY_MAC_BYTES)
        : challengeMac(key, this.#challenge, this.#counter),
    );
  }

  /** `inside` is called late, because service 84 is itself one of the services of this ECU. */
  handler(inside: () => InsideServices): ServiceHandler {
    return {
      functional: false,
      minLength: 9,
      handle: (bytes, context) => this.#handle(bytes, context, inside()),
    };
  }

  async #handle(
    bytes: Uint8Array,
    context: ServiceContext,
    services: InsideServices,
  ): Promise<Reply> {
    const message = securedData.decodeRequest(bytes);
    if (typeof message === 'number') return { nrc: message };
    const role = roleOf(message.calculation);
    if (role === undefined || message.mac.length !== AUTHORITY_MAC_BYTES) {
      return { nrc: Nrc.requestOutOfRange };
    }
    const key = this.#keyOf(role);
    if (key === undefined) return { nrc: Nrc.conditionsNotCorrect };
    const challenge = this.#challenge;
    const { mac, counter, inner, calculation } = message;
    if (!constantTimeEqual(requestMac(key, challenge, message.authenticated), mac)) {
      return { nrc: Nrc.secureDataVerificationFailed };
    }
    if (counter <= this.#counter) {
      // A tester that lost the answer sends the message again; it is not carried out twice. An older message is a
      // replay.
      return this.#last !== undefined && equalBytes(this.#last.mac, mac)
        ? { positive: this.#last.response }
        : { nrc: Nrc.secureDataVerificationFailed };
    }
    this.#counter = counter;
    this.#last = undefined;
    const reply = await this.#inside(inner, { ...context, authority: role }, services);
    const answer = 'nrc' in reply ? negativeResponse(byteAt(inner, 0), reply.nrc) : reply.positive;
    const response = securedData.encodeResponse(
      { calculation, counter, inner: answer },
      AUTHORITY_MAC_BYTES,
      (authenticated) => responseMac(key, challenge, mac, authenticated),
    );
    this.#last = { mac: Uint8Array.from(mac), response };
    if (counter === LAST_COUNTER) this.#renew();
    const { afterSent } = reply;
    return { positive: response, ...defined({ afterSent }) };
  }

  async #inside(
    inner: Uint8Array,
    context: ServiceContext,
    { securable, handlers }: InsideServices,
  ): Promise<Reply> {
    if (!securable.has(byteAt(inner, 0))) return { nrc: Nrc.secureDataTransmissionNotAllowed };
    const request = withoutSuppressBit(inner);
    const admission = admit(handlers, request, context);
    if (admission.kind === 'refuse') return { nrc: admission.nrc };
    try {
      return await admission.handler.handle(request, context);
    } catch {
      // Annex A.1: the same answer as the server's, here with a MAC. The storage logs the error.
      return { nrc: Nrc.generalProgrammingFailure };
    }
  }

  /** Makes a new challenge after the last counter, so that no counter is used twice. */
  #renew(): void {
    this.#challenge = this.#random.bytes(AUTHORITY_CHALLENGE_BYTES);
    this.#counter = 0;
    this.#last = undefined;
  }

  #keyOf(role: AuthorityRole): Uint8Array | undefined {
    const { locked, content } = this.#identity;
    const speaker = role === 'tester' ? content.testerKey : content.factoryKey;
    if (!locked || content.encryptionKey === null || speaker === null) return undefined;
    const known = this.#keys.get(role);
    if (known?.speaker === speaker) return known.key;
    const key = listenerKey(role, fromHex(content.encryptionKey), fromHex(speaker));
    this.#keys.set(role, { speaker, key });
    return key;
  }
}

function roleOf(calculation: number): AuthorityRole | undefined {
  if (calculation === AUTHORITY_CALCULATION.tester) return 'tester';
  return calculation === AUTHORITY_CALCULATION.factory ? 'factory' : undefined;
}
