#!/usr/bin/env python3
"""An ECU of another make for the tests: standard UDS on the kernel's raw CAN sockets, nothing of this project in it.

  standard-ecu.py IFACE REQUEST_ID RESPONSE_ID OUT_FILE

Written from ISO 15765-2 and ISO 14229-1 with Python's standard library alone. One bank, security access by xor,
small blocks, block size 8, erase that takes a while (responsePending), no vendor identifiers or routines.
The programmed bytes go to OUT_FILE at RequestTransferExit; "ready" is printed once the socket is bound.
"""
import os
import socket
import struct
import sys
import time

iface, request_id, response_id, out_file = sys.argv[1], int(sys.argv[2], 16), int(sys.argv[3], 16), sys.argv[4]
SECRET = bytes.fromhex("a5c3f00d")
BLOCK = 0x102  # maxNumberOfBlockLength: SID and counter included
MEMORY_START, MEMORY_SIZE = 0x08000000, 0x200000

sock = socket.socket(socket.PF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
sock.setsockopt(
    socket.SOL_CAN_RAW, socket.CAN_RAW_FILTER, struct.pack("=II", request_id, 0xC00007FF)
)
sock.bind((iface,))


def send_frame(data):
    frame = struct.pack("=IB3x8s", response_id, 8, data.ljust(8, b"\x55"))
    while True:
        try:
            sock.send(frame)
            return
        except OSError:  # ENOBUFS: the transmit queue is full
            time.sleep(0.001)


def recv_frame(timeout):
    sock.settimeout(timeout)
    try:
        raw = sock.recv(72)
    except socket.timeout:
        return None
    return raw[8 : 8 + raw[4]]


def receive():
    """One request, reassembled; None when it broke off."""
    frame = recv_frame(None)
    kind = frame[0] >> 4
    if kind == 0:
        return frame[1 : 1 + (frame[0] & 15)]
    if kind != 1:
        return None
    length = (frame[0] & 15) << 8 | frame[1]
    message = bytearray(frame[2:])
    sequence = 1
    while len(message) < length:
        send_frame(b"\x30\x08\x00")
        for _ in range(8):
            frame = recv_frame(1.0)
            if frame is None or frame[0] >> 4 != 2 or frame[0] & 15 != sequence & 15:
                return None
            sequence += 1
            message += frame[1:]
            if len(message) >= length:
                break
    return bytes(message[:length])


def respond(message):
    if len(message) <= 7:
        send_frame(bytes([len(message)]) + message)
        return
    send_frame(bytes([0x10 | len(message) >> 8, len(message) & 255]) + message[:6])
    flow = recv_frame(1.0)
    if flow is None or flow[0] != 0x30:
        return
    for number, at in enumerate(range(6, len(message), 7)):
        send_frame(bytes([0x20 | (number + 1) & 15]) + message[at : at + 7])


session, unlocked, seed, erased, download = 1, False, None, False, None


class Refused(Exception):
    pass


def handle(request):
    global session, unlocked, seed, erased, download
    sid = request[0]
    if sid == 0x10:
        if request[1] & 0x7F not in (1, 2, 3):
            raise Refused(0x12)
        session, unlocked, download = request[1] & 0x7F, False, None
        return bytes([0x50, session]) + struct.pack(">HH", 50, 500)
    if sid == 0x3E:
        return bytes([0x7E, request[1] & 0x7F])
    if sid == 0x11:
        session, unlocked = 1, False
        return bytes([0x51, request[1] & 0x7F])
    if sid == 0x22:
        values = {b"\xf1\x90": b"1CANXTABENCH00001", b"\xf1\x91": b"OTHER-MAKE-7"}
        value = values.get(request[1:3])
        if value is None:
            raise Refused(0x31)
        return b"\x62" + request[1:3] + value
    if sid == 0x27:
        if session != 2:
            raise Refused(0x7F)
        if request[1] == 0x01:
            seed = os.urandom(4)
            return b"\x67\x01" + seed
        if request[1] == 0x02:
            if seed is None:
                raise Refused(0x24)
            if request[2:] != bytes(a ^ b for a, b in zip(seed, SECRET)):
                raise Refused(0x35)
            unlocked, seed = True, None
            return b"\x67\x02"
        raise Refused(0x12)
    if sid == 0x31:
        if request[1:4] != b"\x01\xff\x00":
            raise Refused(0x31)
        if session != 2:
            raise Refused(0x7F)
        if not unlocked:
            raise Refused(0x33)
        address, size = struct.unpack(">II", request[5:13])
        if request[4] != 0x44 or address < MEMORY_START or address + size > MEMORY_START + MEMORY_SIZE:
            raise Refused(0x31)
        for _ in range(2):
            respond(bytes([0x7F, 0x31, 0x78]))
            time.sleep(0.05)
        erased = True
        return b"\x71\x01\xff\x00"
    if sid == 0x34:
        if session != 2:
            raise Refused(0x7F)
        if not unlocked:
            raise Refused(0x33)
        address, size = struct.unpack(">II", request[3:11])
        if request[1:3] != b"\x00\x44" or address < MEMORY_START or address + size > MEMORY_START + MEMORY_SIZE:
            raise Refused(0x31)
        if not erased:
            raise Refused(0x70)
        download = {"size": size, "data": bytearray(), "counter": 1}
        return b"\x74\x20" + struct.pack(">H", BLOCK)
    if sid == 0x36:
        if download is None:
            raise Refused(0x24)
        if request[1] != download["counter"] & 0xFF:
            raise Refused(0x73)
        if len(request) > BLOCK or len(download["data"]) + len(request) - 2 > download["size"]:
            raise Refused(0x31)
        download["data"] += request[2:]
        download["counter"] += 1
        return bytes([0x76, request[1]])
    if sid == 0x37:
        if download is None or len(download["data"]) != download["size"]:
            raise Refused(0x24)
        with open(out_file, "wb") as file:
            file.write(download["data"])
        download, erased = None, False
        return b"\x77"
    raise Refused(0x11)


print("ready", flush=True)
while True:
    request = receive()
    if not request:
        continue
    try:
        answer = handle(request)
    except Refused as refused:
        answer = bytes([0x7F, request[0], refused.args[0]])
    except (IndexError, struct.error):
        answer = bytes([0x7F, request[0], 0x13])
    suppressed = request[0] in (0x10, 0x11, 0x3E) and len(request) > 1 and request[1] & 0x80
    if not (suppressed and answer[0] != 0x7F):
        respond(answer)
