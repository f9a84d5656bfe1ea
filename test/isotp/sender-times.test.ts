// The sender's timers to the millisecond: N_As, N_Bs, N_Cs, STmin, and what may wait in the queue of the bus.

import { describe, expect, it } from 'vitest';
import { defaultIsoTpConfig, type IsoTpConfig } from '../../src/isotp/config.ts';
import { FlowStatus, type Pci } from '../../src/isotp/pci.ts';
import { IsoTpSender } from '../../src/isotp/sender.ts';

const go = (stMin = 0, blockSize = 0): Extract<Pci, { kind: 'flow-control' }> => ({
  ...{ kind: 'flow-control', status: FlowStatus.continueToSend },
  ...{ blockSize, stMin },
});
const wait = { ...go(), status: FlowStatus.wait };

/** A message of several frames whose first frame was confirmed at 10. */
function begun(config: Partial<IsoTpConfig> = {}, sendAhead = 1, length = 30): IsoTpSender {
  const sender = new IsoTpSender({ ...defaultIsoTpConfig, ...config }, undefined, sendAhead);
  sender.begin(new Uint8Array(length));
  expect(sender.pull(0)).toBeDefined();
  expect(sender.confirmed(10)).toBeUndefined();
  return sender;
}

describe('N_As', () => {
  it('runs from the hand-over to the confirmation', () => {
    const sender = new IsoTpSender({ ...defaultIsoTpConfig, nAsMs: 50 }, undefined, 1);
    sender.begin(new Uint8Array(30));
    sender.pull(7);
    expect(sender.deadline()).toEqual({ name: 'N_As', atMs: 57 });
    expect(sender.dueMs()).toBe(57);
    expect(sender.tick(56.9)).toBeUndefined();
    expect(sender.tick(57)).toBe('N_TIMEOUT_A');
    expect(sender.idle).toBe(true);
  });

  it('counts for the oldest of several frames, and from each confirmation anew', () => {
    const sender = begun({ nAsMs: 50 }, 3, 60);
    sender.flowControl(go(), 20);
    expect(sender.pull(20)).toBeDefined();
    expect(sender.pull(25)).toBeDefined();
    expect(sender.pull(29)).toBeDefined();
    expect(sender.pull(29)).toBeUndefined(); // three are with the bus
    expect(sender.dueMs()).toBe(70);
    sender.confirmed(40);
    expect(sender.dueMs()).toBe(90);
    expect(sender.pull(45)).toBeDefined();
    expect(sender.dueMs()).toBe(90); // the frame that joins is not the oldest
  });
});

describe('N_Bs', () => {
  it('runs from the confirmation of the first frame, and again from each wait', () => {
    const sender = begun({ nBsMs: 100 });
    expect(sender.deadline()).toEqual({ name: 'N_Bs', atMs: 110 });
    expect(sender.dueMs()).toBe(110);
    sender.flowControl(wait, 60);
    expect(sender.deadline()).toEqual({ name: 'N_Bs', atMs: 160 });
    expect(sender.tick(159)).toBeUndefined();
    expect(sender.tick(160)).toBe('N_TIMEOUT_Bs');
  });

  it('runs at the end of a block from the confirmation of its last frame', () => {
    const sender = begun({ nBsMs: 100 }, 8, 60);
    sender.flowControl(go(0, 2), 20);
    sender.pull(20);
    sender.pull(20);
    expect(sender.pull(20)).toBeUndefined();
    sender.confirmed(21);
    expect(sender.deadline()?.name).toBe('N_As');
    sender.confirmed(22);
    expect(sender.deadline()).toEqual({ name: 'N_Bs', atMs: 122 });
  });

  it('takes any number of waits, for the time of one message in all', () => {
    const sender = begun({ nBsMs: 100, waitLimitMs: 250 }, 1, 60);
    for (let atMs = 10; atMs <= 210; atMs += 10) {
      expect(sender.flowControl(wait, atMs)).toBeUndefined();
    }
    sender.flowControl(go(0, 1), 220);
    sender.pull(220);
    sender.confirmed(221);
    expect(sender.flowControl(wait, 230)).toBeUndefined();
    // 210 ms before the block and the rest here.
    expect(sender.deadline()).toMatchObject({ atMs: 270 });
  });
});

describe('consecutive frames', () => {
  it('come at once after a flow control without pauses', () => {
    const sender = begun();
    sender.flowControl(go(), 20);
    expect(sender.deadline()).toEqual({ name: 'N_Cs', atMs: 20 });
    expect(sender.pull(20)).toBeDefined();
  });

  it('keep N_Cs after the flow control, and STmin and N_Cs after each confirmation', () => {
    const sender = begun({ nCsMs: 5 }, 8, 60);
    sender.flowControl(go(10), 20);
    expect(sender.pull(24.9)).toBeUndefined();
    expect(sender.dueMs()).toBe(25);
    expect(sender.pull(25)).toBeDefined();
    expect(sender.pull(25)).toBeUndefined(); // one at a time where there are pauses
    sender.confirmed(26);
    expect(sender.dueMs()).toBe(41);
    expect(sender.pull(40.9)).toBeUndefined();
    expect(sender.pull(41)).toBeDefined();
  });

  it('go one at a time also with STmin or N_Cs alone', () => {
    for (const [nCsMs, stMin] of [
      [1, 0],
      [0, 1],
    ] as const) {
      const sender = begun({ nCsMs }, 8, 60);
      sender.flowControl(go(stMin), 20);
      expect(sender.pull(30)).toBeDefined();
      expect(sender.pull(30)).toBeUndefined();
    }
  });
});

describe('what nobody waits for', () => {
  it('changes nothing: confirmations and flow control of an idle sender', () => {
    const sender = new IsoTpSender(defaultIsoTpConfig, undefined, 1);
    expect(sender.confirmed(1)).toBeUndefined();
    expect(sender.flowControl(go(), 1)).toBeUndefined();
    expect(sender.tick(1e9)).toBeUndefined();
    expect(sender.dueMs()).toBe(Number.POSITIVE_INFINITY);
    expect(sender.deadline()).toBeUndefined();
    sender.begin(new Uint8Array(30));
    expect(sender.flowControl(wait, 1)).toBeUndefined();
    expect(sender.idle).toBe(false);
  });
});

describe('our own least separation', () => {
  it.each([
    [0x05, 0x00, 5],
    [0x05, 0x0a, 10],
    [0xf5, 0x00, 0.5],
    [0xf5, 0x01, 1],
    [0x00, 0x00, 0],
  ])('%i beside an STmin of %i is %f ms', (sendStMin, stMin, expectedMs) => {
    const sender = begun({ sendStMin }, 3);
    sender.flowControl(go(stMin), 20);
    expect(sender.pull(20)).toBeDefined();
    sender.confirmed(21);
    if (expectedMs > 0) expect(sender.pull(21 + expectedMs - 0.1)).toBeUndefined();
    expect(sender.pull(21 + expectedMs)).toBeDefined();
  });
});
