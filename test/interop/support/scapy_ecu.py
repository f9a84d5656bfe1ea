"""scapy as an ECU of another make behind `can-ota flash`: one bank of bytes, security access by xor, ISO-TP by scapy.

  scapy_ecu.py LOCAL_BUS '{"tx": .., "rx": .., "functional": .., "base": .., "size": .., "block": .., "out": FILE, ...}'

"pendings": responsePending in a row of an erase, each "pauseSeconds" after the last. "singleBuffer": a functional frame destroys a
segmented request that is being received. The whole memory goes to "out" at each RequestTransferExit. {"heard": {...}} counts
what mattered, one line for each reset.
"""

import hashlib
import json
import os
import struct
import sys
import time

import local_bus
from scapy.all import conf
from scapy.contrib.automotive.uds import UDS, UDS_NR
from scapy.contrib.isotp.isotp_soft_socket import ISOTP_IDLE, ISOTPSoftSocket

spec, config = sys.argv[1], json.loads(sys.argv[2])
BASE, SIZE = config["base"], config["size"]
SECRET = bytes.fromhex("a5c3f00d")
heard = {"functionalTesterPresent": 0, "destroyed": 0, "blocks": 0, "longestBlock": 0, "pendings": 0}
memory = bytearray(b"\xff" * SIZE)
session, unlocked, seed, erased, download = 1, False, None, [], None
written = {}


def on_frame(frame):
    if frame.identifier != config["functional"]:
        return
    heard["functionalTesterPresent"] += bytes(frame.data[:3]) == b"\x02\x3e\x80"
    if config.get("singleBuffer") and physical.impl.rx_state != ISOTP_IDLE:
        physical.impl.rx_state = ISOTP_IDLE
        heard["destroyed"] += 1


everyone = local_bus.isotp(spec, config["tx"], config["functional"], listen_only=True)
physical = local_bus.isotp(spec, config["tx"], config["rx"], on_frame, **config.get("options", {}))


class Refused(Exception):
    pass


def need(condition, nrc):
    if not condition:
        raise Refused(nrc)


def respond(data):
    physical.send(conf.raw_layer(data))


def area(data):
    """Address and length after the addressAndLengthFormatIdentifier, within this memory."""
    lengths, addresses = data[0] >> 4, data[0] & 15
    need(len(data) == 1 + lengths + addresses and lengths and addresses, 0x13)
    address = int.from_bytes(data[1 : 1 + addresses], "big")
    size = int.from_bytes(data[1 + addresses :], "big")
    need(BASE <= address and size > 0 and address + size <= BASE + SIZE, 0x31)
    return address - BASE, size


def routine(data):
    if data[:3] == b"\x01\xff\x00":
        need(session == 2, 0x7F)
        need(unlocked, 0x33)
        at, size = area(data[3:]) if len(data) > 3 else (0, SIZE)
        for _ in range(config.get("pendings", 0)):
            respond(b"\x7f\x31\x78")
            heard["pendings"] += 1
            time.sleep(config["pauseSeconds"])
        memory[at : at + size] = b"\xff" * size
        erased.append((at, at + size))
        for start in [each for each in written if at <= each < at + size]:
            del written[start]
        return b"\x71" + data[:3]
    if data[:3] == b"\x01\x02\x02" and len(data) == 35:
        sent = b"".join(written[at] for at in sorted(written))
        return b"\x71" + data[:3] + bytes([hashlib.sha256(sent).digest() != data[3:]])
    raise Refused(0x31)


def handle(request):
    global session, unlocked, seed, download
    sid, data = request[0], request[1:]
    if sid == 0x10:
        need(data[0] & 0x7F in (1, 2, 3), 0x12)
        session, unlocked, download = data[0] & 0x7F, False, None
        return bytes([0x50, session]) + struct.pack(">HH", 50, 500)
    if sid == 0x11:
        need(data[0] & 0x7F == 1, 0x12)
        session, unlocked, download = 1, False, None
        print(json.dumps({"heard": heard}), flush=True)
        return b"\x51\x01"
    if sid in (0x28, 0x85):
        need(session != 1, 0x7F)
        return bytes([sid + 0x40, data[0] & 0x7F])
    if sid == 0x3E:
        return bytes([0x7E, data[0] & 0x7F])
    if sid == 0x27 and data[0] == 1:
        need(session == 2, 0x7F)
        seed = os.urandom(4)
        return b"\x67\x01" + seed
    if sid == 0x27 and data[0] == 2:
        need(seed is not None, 0x24)
        need(data[1:] == bytes(a ^ b for a, b in zip(seed, SECRET)), 0x35)
        unlocked, seed = True, None
        return b"\x67\x02"
    if sid == 0x31:
        return routine(data)
    if sid == 0x34:
        need(session == 2, 0x7F)
        need(unlocked, 0x33)
        need(data[0] == 0, 0x31)
        at, size = area(data[1:])
        need(any(low <= at and at + size <= high for low, high in erased), 0x70)
        download = {"at": at, "size": size, "data": bytearray(), "counter": 1}
        return b"\x74\x20" + struct.pack(">H", config["block"])
    if sid == 0x36:
        need(download is not None, 0x24)
        need(data[0] == download["counter"] & 0xFF, 0x73)
        need(len(request) <= config["block"], 0x13)
        need(len(download["data"]) + len(data) - 1 <= download["size"], 0x31)
        download["data"] += data[1:]
        download["counter"] += 1
        heard["blocks"] += 1
        heard["longestBlock"] = max(heard["longestBlock"], len(request))
        return bytes([0x76, data[0]])
    if sid == 0x37:
        need(download is not None and len(download["data"]) == download["size"], 0x24)
        written[download["at"]] = bytes(download["data"])
        memory[download["at"] : download["at"] + download["size"]] = download["data"]
        download = None
        with open(config["out"], "wb") as file:
            file.write(memory)
        return b"\x77"
    raise Refused(0x11)


print("ready", flush=True)
while True:
    for ready in ISOTPSoftSocket.select([physical, everyone], 1.0):
        packet = ready.recv()
        if packet is None:
            continue
        request = bytes(packet)
        try:
            answer = handle(request)
        except Refused as refused:
            code = refused.args[0]
            answer = bytes(UDS() / UDS_NR(requestServiceId=request[0], negativeResponseCode=code))
        except IndexError:
            answer = bytes([0x7F, request[0], 0x13])
        negative = answer[0] == 0x7F
        suppressed = request[0] in (0x10, 0x11, 0x28, 0x3E, 0x85) and len(request) > 1 and request[1] & 0x80
        silent = ready is everyone and negative and answer[2] in (0x11, 0x12, 0x31, 0x7E, 0x7F)
        if not silent and (negative or not suppressed):
            respond(answer)
