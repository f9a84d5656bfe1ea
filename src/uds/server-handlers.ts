// The handlers that every UDS server has: 10, 28, 3E and 85. An ECU may replace each of them.

import { Nrc } from './nrc.ts';
import type { Reply, ServerTiming, ServiceContext, ServiceHandler } from './server-types.ts';
import * as communicationControl from './services/communication-control.ts';
import * as controlDtcSetting from './services/control-dtc-setting.ts';
import * as sessionControl from './services/diagnostic-session-control.ts';
import * as testerPresent from './services/tester-present.ts';

/** State of service 28: what the ECU may do on the bus, for each kind of message. */
export interface CommunicationState {
  readonly normal: { readonly receive: boolean; readonly transmit: boolean };
  readonly networkManagement: { readonly receive: boolean; readonly transmit: boolean };
}

export const FULL_COMMUNICATION: CommunicationState = {
  normal: { receive: true, transmit: true },
  networkManagement: { receive: true, transmit: true },
};

/**
 * Service 10. The session changes when the answer was sent (10.2.1). `mayEnter` returns an NRC against it, for example
 * conditionsNotCorrect for the programming session while the vehicle drives.
 */
export function sessionControlHandler(options: {
  readonly sessions: readonly number[];
  readonly timing: ServerTiming;
  mayEnter(session: number, context: ServiceContext): Nrc | undefined;
  enter(session: number): void;
}): ServiceHandler {
  return {
    subFunctions: Object.fromEntries(options.sessions.map((session) => [session, {}])),
    minLength: 2,
    handle(bytes, context): Reply {
      const request = sessionControl.decodeRequest(bytes);
      if (typeof request === 'number') return { nrc: request };
      const against = options.mayEnter(request.session, context);
      if (against !== undefined) return { nrc: against };
      return {
        positive: sessionControl.encodeResponse(request.session, options.timing),
        afterSent: () => options.enter(request.session),
      };
    },
  };
}

/** Service 3E. It only answers, because every request restarts S3. */
export function testerPresentHandler(): ServiceHandler {
  return {
    subFunctions: { 0: {} },
    minLength: 2,
    handle(bytes): Reply {
      const request = testerPresent.decodeRequest(bytes);
      if (typeof request === 'number') return { nrc: request };
      return { positive: testerPresent.encodeResponse() };
    },
  };
}

/** Service 28 for the node itself: control types 00 to 03. */
export function communicationControlHandler(options: {
  readonly sessions: readonly number[];
  state(): CommunicationState;
  change(state: CommunicationState): void;
}): ServiceHandler {
  return {
    sessions: options.sessions,
    subFunctions: { 0: {}, 1: {}, 2: {}, 3: {} },
    minLength: 3,
    handle(bytes): Reply {
      const request = communicationControl.decodeRequest(bytes);
      if (typeof request === 'number') return { nrc: request };
      // Annex B.1: bits 0 and 1 name the messages; bits 4 to 7 a subnet, which this node does not route to.
      const kinds = request.type & 0x03;
      const subnet = request.type >> 4;
      if (kinds === 0 || (request.type & 0x0c) !== 0 || (subnet !== 0 && subnet !== 0x0f)) {
        return { nrc: Nrc.requestOutOfRange };
      }
      const wanted = {
        receive: (request.control & 0x02) === 0,
        transmit: (request.control & 0x01) === 0,
      };
      const before = options.state();
      options.change({
        normal: (kinds & 0x01) !== 0 ? wanted : before.normal,
        networkManagement: (kinds & 0x02) !== 0 ? wanted : before.networkManagement,
      });
      return { positive: communicationControl.encodeResponse(request.control) };
    },
  };
}

/** Service 85. DTCSettingControlOptionRecord is defined by the vehicle manufacturer; this node accepts none. */
export function controlDtcSettingHandler(options: {
  readonly sessions: readonly number[];
  change(on: boolean): void;
}): ServiceHandler {
  const { on, off } = controlDtcSetting.DtcSetting;
  return {
    sessions: options.sessions,
    subFunctions: { [on]: {}, [off]: {} },
    minLength: 2,
    handle(bytes): Reply {
      const request = controlDtcSetting.decodeRequest(bytes);
      if (typeof request === 'number') return { nrc: request };
      if (request.data.length > 0) return { nrc: Nrc.requestOutOfRange };
      options.change(request.setting === on);
      return { positive: controlDtcSetting.encodeResponse(request.setting) };
    },
  };
}
