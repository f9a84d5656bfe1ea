// The error counters of a controller, rule by rule of ISO 11898-1 12.1.4.

import { describe, expect, it } from 'vitest';
import { ErrorConfinement } from '../../src/sim/error-confinement.ts';

type Step = 'transmitted' | 'received' | 'transmitError' | 'receiveError';

function errorsAfter(...steps: [Step, number][]): ErrorConfinement {
  const errors = new ErrorConfinement();
  for (const [step, times] of steps) for (let time = 0; time < times; time++) errors[step]();
  return errors;
}

const counters = ({ transmit, receive, state }: ErrorConfinement): unknown[] => [
  transmit,
  receive,
  state,
];

describe('error counters', () => {
  it('rise by 8 as transmitter and by 1 as receiver, and fall by 1', () => {
    expect(counters(errorsAfter())).toEqual([0, 0, 'active']);
    expect(counters(errorsAfter(['transmitError', 2], ['receiveError', 3]))).toEqual([
      16,
      3,
      'active',
    ]);
    expect(counters(errorsAfter(['transmitError', 2], ['transmitted', 3]))).toEqual([
      13,
      0,
      'active',
    ]);
    expect(counters(errorsAfter(['receiveError', 3], ['received', 2]))).toEqual([0, 1, 'active']);
    expect(counters(errorsAfter(['transmitted', 1], ['received', 1]))).toEqual([0, 0, 'active']);
  });

  it('warn from 96 on, by either one', () => {
    expect(errorsAfter(['transmitError', 12], ['transmitted', 1]).state).toBe('active');
    expect(errorsAfter(['transmitError', 12]).state).toBe('warning');
    expect(errorsAfter(['receiveError', 95]).state).toBe('active');
    expect(errorsAfter(['receiveError', 96]).state).toBe('warning');
  });

  it('are passive above 127, and active again when both are below', () => {
    expect(errorsAfter(['receiveError', 127]).state).toBe('warning');
    expect(errorsAfter(['receiveError', 128]).state).toBe('passive');
    expect(counters(errorsAfter(['receiveError', 200], ['received', 1]))).toEqual([
      0,
      127,
      'warning',
    ]);
    expect(errorsAfter(['transmitError', 16]).state).toBe('passive');
    expect(errorsAfter(['transmitError', 16], ['transmitted', 1]).state).toBe('warning');
    expect(errorsAfter(['transmitError', 16], ['transmitted', 33]).state).toBe('active');
  });

  it('take a transmitter off the bus above 255, a receiver never', () => {
    expect(errorsAfter(['transmitError', 31], ['transmitted', 1]).state).toBe('passive');
    expect(errorsAfter(['transmitError', 31]).state).toBe('passive');
    expect(errorsAfter(['transmitError', 32]).state).toBe('bus-off');
    expect(counters(errorsAfter(['receiveError', 100_000]))).toEqual([0, 255, 'passive']);
  });

  it('are both zero after a restart', () => {
    const errors = errorsAfter(['transmitError', 40], ['receiveError', 5]);
    expect(errors.clean).toBe(false);
    errors.reset();
    expect(counters(errors)).toEqual([0, 0, 'active']);
    expect(errors.clean).toBe(true);
  });

  it('are told in the words of a SocketCAN bus', () => {
    expect(errorsAfter(['transmitError', 12], ['receiveError', 2]).describe()).toBe(
      'error counter above 96; error counters tx 96, rx 2',
    );
    expect(errorsAfter(['receiveError', 130]).describe()).toBe(
      'error counter above 127; error counters tx 0, rx 130',
    );
    expect(errorsAfter().describe()).toBe('error active again; error counters tx 0, rx 0');
    expect(errorsAfter(['transmitError', 32]).describe()).toMatch(
      /^bus-off: the controller took itself/,
    );
  });
});
