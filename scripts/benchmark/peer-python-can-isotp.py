#!/usr/bin/env python3
"""The same exchange as isotp-pair.ts, with the library python-can-isotp: requests of 4,095 bytes, short answers.

  peer-python-can-isotp.py IFACE SECONDS [BLOCK_SIZE]

Two processes on IFACE. Prints one JSON line: {"bytesPerSecond": n, "lost": n}, or exits with 3 where the library
is not installed.
"""
import json
import multiprocessing
import socket
import struct
import sys
import time

try:
    import isotp
except ImportError:
    sys.exit(3)

IFACE, SECONDS = sys.argv[1], float(sys.argv[2])
BLOCK_SIZE = int(sys.argv[3]) if len(sys.argv) > 3 else 64
LENGTH = 4095


def stack(tx_id, rx_id):
    sock = socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    sock.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FILTER, struct.pack("=II", rx_id, 0xC00007FF))
    sock.bind((IFACE,))

    def receive(timeout):
        sock.settimeout(max(timeout, 0.0001))
        try:
            raw = sock.recv(72)
        except socket.timeout:
            return None
        return isotp.CanMessage(arbitration_id=struct.unpack("=I", raw[:4])[0], data=raw[8 : 8 + raw[4]], dlc=raw[4])

    def transmit(message):
        frame = struct.pack("=IB3x8s", message.arbitration_id, len(message.data), bytes(message.data).ljust(8, b"\0"))
        while True:
            try:
                sock.send(frame)
                return
            except OSError:
                time.sleep(0.0005)

    layer = isotp.TransportLayer(
        rxfn=receive,
        txfn=transmit,
        address=isotp.Address(txid=tx_id, rxid=rx_id),
        params={"blocksize": BLOCK_SIZE, "stmin": 0, "tx_padding": 0xCC, "max_frame_size": LENGTH},
    )
    layer.start()
    return layer


def answer():
    layer = stack(0x7E8, 0x7E0)
    while True:
        request = layer.recv(block=True, timeout=10)
        if request is None:
            return
        layer.send(bytes([0x76, request[1]]))


def main():
    server = multiprocessing.Process(target=answer, daemon=True)
    server.start()
    time.sleep(0.5)
    layer = stack(0x7E0, 0x7E8)
    request = bytes([0x36, 0x01]) + bytes(index & 0xFF for index in range(LENGTH - 2))
    carried = lost = 0
    start = time.monotonic()
    while time.monotonic() - start < SECONDS:
        layer.send(request)
        if layer.recv(block=True, timeout=3) is None:
            lost += 1
        else:
            carried += LENGTH - 2
    elapsed = time.monotonic() - start
    server.terminate()
    print(json.dumps({"bytesPerSecond": carried / elapsed, "lost": lost}))


main()
