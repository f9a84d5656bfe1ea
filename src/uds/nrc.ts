// ISO 14229-1:2020 annex A.1: negative response codes.

export const Nrc = {
  generalReject: 0x10,
  serviceNotSupported: 0x11,
  subFunctionNotSupported: 0x12,
  incorrectMessageLengthOrInvalidFormat: 0x13,
  responseTooLong: 0x14,
  busyRepeatRequest: 0x21,
  conditionsNotCorrect: 0x22,
  requestSequenceError: 0x24,
  noResponseFromSubnetComponent: 0x25,
  failurePreventsExecutionOfRequestedAction: 0x26,
  requestOutOfRange: 0x31,
  securityAccessDenied: 0x33,
  authenticationRequired: 0x34,
  invalidKey: 0x35,
  exceededNumberOfAttempts: 0x36,
  requiredTimeDelayNotExpired: 0x37,
  secureDataTransmissionRequired: 0x38,
  secureDataTransmissionNotAllowed: 0x39,
  secureDataVerificationFailed: 0x3a,
  certificateInvalidTimePeriod: 0x50,
  certificateInvalidSignature: 0x51,
  certificateInvalidChainOfTrust: 0x52,
  certificateInvalidType: 0x53,
  certificateInvalidFormat: 0x54,
  certificateInvalidContent: 0x55,
  certificateInvalidScope: 0x56,
  certificateRevoked: 0x57,
  ownershipVerificationFailed: 0x58,
  challengeCalculationFailed: 0x59,
  settingAccessRightsFailed: 0x5a,
  sessionKeyCreationDerivationFailed: 0x5b,
  configurationDataUsageFailed: 0x5c,
  deAuthenticationFailed: 0x5d,
  uploadDownloadNotAccepted: 0x70,
  transferDataSuspended: 0x71,
  generalProgrammingFailure: 0x72,
  wrongBlockSequenceCounter: 0x73,
  requestCorrectlyReceivedResponsePending: 0x78,
  subFunctionNotSupportedInActiveSession: 0x7e,
  serviceNotSupportedInActiveSession: 0x7f,
  rpmTooHigh: 0x81,
  rpmTooLow: 0x82,
  engineIsRunning: 0x83,
  engineIsNotRunning: 0x84,
  engineRunTimeTooLow: 0x85,
  temperatureTooHigh: 0x86,
  temperatureTooLow: 0x87,
  vehicleSpeedTooHigh: 0x88,
  vehicleSpeedTooLow: 0x89,
  throttlePedalTooHigh: 0x8a,
  throttlePedalTooLow: 0x8b,
  transmissionRangeNotInNeutral: 0x8c,
  transmissionRangeNotInGear: 0x8d,
  brakeSwitchNotClosed: 0x8f,
  shifterLeverNotInPark: 0x90,
  torqueConverterClutchLocked: 0x91,
  voltageTooHigh: 0x92,
  voltageTooLow: 0x93,
  resourceTemporarilyNotAvailable: 0x94,
} as const;
export type Nrc = (typeof Nrc)[keyof typeof Nrc];

const names = new Map<number, string>(Object.entries(Nrc).map(([name, code]) => [code, name]));

/** `wrongBlockSequenceCounter`; undefined for reserved and manufacturer-specific codes. */
export function nrcName(nrc: number): string | undefined {
  return names.get(nrc);
}

/** `wrongBlockSequenceCounter (0x73)`; unknown codes keep their number. */
export function nrcText(nrc: number): string {
  const code = `0x${nrc.toString(16).toUpperCase().padStart(2, '0')}`;
  const name = names.get(nrc);
  return name === undefined ? `NRC ${code}` : `${name} (${code})`;
}
