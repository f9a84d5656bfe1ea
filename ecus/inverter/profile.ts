// INV, the traction inverter: power and temperature, the torque frame, and its commands: power limit, duty of its fan,
// calibration of its current sensors.

import { concatBytes, uintToBytes } from '../../src/core/bytes.ts';
import { Nrc } from '../../src/uds/nrc.ts';
import { type ApplicationState, type EcuProfile, u8, u16, wave } from '../profile.ts';

const POWER_LIMIT = 0xfd50;
const FAN_DUTY = 0xfd52;
/** Identifier of a routine of the vehicle manufacturer. */
const CURRENT_SENSOR_CALIBRATION = 0x0230;

/** Largest power of the power stage, normally and (below) while it is too hot; 0.1 kW. */
const MOST_POWER = 1200;
const HOT_POWER = 300;
/** Temperature limit of the power stage, degree C. */
const TOO_HOT = 95;
const FAN_STARTS_AT = 40;

const temperature = ({ upMs, hot }: ApplicationState): number =>
  wave(upMs, hot ? 115 : 45, 8, 60_000);
const tooHot = (state: ApplicationState): boolean => temperature(state) > TOO_HOT;
/** Present power: at most the limit, and less while the power stage is too hot. */
const power = (state: ApplicationState): number =>
  Math.min(
    wave(state.upMs, 120, 80, 20_000),
    state.value(POWER_LIMIT),
    tooHot(state) ? HOT_POWER : MOST_POWER,
  );
/** Duty of the fan in percent: 2 for each degree above 40. */
const fanDuty = (state: ApplicationState): number =>
  Math.round(Math.min(100, Math.max(0, (temperature(state) - FAN_STARTS_AT) * 2)));

export const inverterProfile: EcuProfile = {
  partNumber: 'CO-INV-0120',
  // P0A3C-00 drive motor A inverter over temperature: confirmed once, not present now.
  dtcs: [{ code: 0x0a3c00, status: 0x08 }],
  live: [
    { did: 0xfd40, meaning: 'power, 0.1 kW', read: (_upMs, state) => u16(power(state)) },
    {
      did: 0xfd41,
      meaning: 'power stage temperature, 1 degree C, offset -40',
      read: (_upMs, state) => Uint8Array.of(u8(temperature(state) + 40)),
    },
  ],
  traffic: [
    {
      id: 0x120,
      periodMs: 100,
      data: (_upMs, count, state) =>
        concatBytes(
          u16(power(state)),
          Uint8Array.of(u8(temperature(state) + 40), 0, 0, 0, 0, count & 0x0f),
        ),
    },
  ],
  writable: [
    {
      did: POWER_LIMIT,
      meaning: 'power limit, 0.1 kW',
      bytes: 2,
      initial: MOST_POWER,
      refuses: (value, state) => {
        if (value > MOST_POWER) return Nrc.requestOutOfRange;
        return value > HOT_POWER && tooHot(state) ? Nrc.temperatureTooHigh : undefined;
      },
    },
  ],
  controllable: [
    {
      did: FAN_DUTY,
      meaning: 'duty of the cooling fan, 1 %',
      bytes: 1,
      usual: 50,
      own: fanDuty,
      refuses: (value, state) => {
        if (value > 100) return Nrc.requestOutOfRange;
        // A hot power stage keeps its cooling.
        return value < 100 && tooHot(state) ? Nrc.temperatureTooHigh : undefined;
      },
    },
  ],
  routines: [
    {
      routine: CURRENT_SENSOR_CALIBRATION,
      meaning: 'calibration of the current sensors; finds their offset, 1 mA, signed',
      takesMs: 800,
      refuses: (state) => (tooHot(state) ? Nrc.temperatureTooHigh : undefined),
      findings: (run, state) => {
        const offset = Math.round(wave(run, -35, 10, 7) + temperature(state) / 10);
        return uintToBytes(offset & 0xffff, 2);
      },
    },
  ],
};
