"""A CAN socket of scapy on can-ota's local bus: records of struct can_frame over a Unix socket in the abstract namespace."""

import json
import os
import select
import socket
import struct

from scapy.all import conf, load_contrib

conf.contribs["ISOTP"] = {"use-can-isotp-kernel-module": False}
load_contrib("isotp")
load_contrib("automotive.uds")

from scapy.contrib.isotp.isotp_soft_socket import ISOTPSoftSocket  # noqa: E402
from scapy.layers.can import CAN  # noqa: E402

EFF, ERR, RTR = 0x80000000, 0x20000000, 0x40000000
FDF = 0x04
ECHO = 1
# Control records: src/bus/control-record.ts.
FILTER_BEGIN, FILTER_ADD, FILTER_COMMIT, RETIRED, RETIRE = 1, 2, 3, 4, 18


def record(code, first=0, second=0):
    return struct.pack("=IB3xII", ERR | code, 8, first, second)


class LocalBus:
    """What ISOTPSoftSocket needs of a CAN socket. `spec` is local:NAME?..."""

    def __init__(self, spec, on_frame=None):
        name = spec.split(":", 1)[1].split("?", 1)[0]
        self.closed = False
        self._on_frame = on_frame
        self._buffer = b""
        self._frames = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(f"\0can-ota/{os.getuid()}/{name}")
        hello = {"canOta": 1, "client": f"scapy-{os.getpid()}-{id(self)}", "pid": os.getpid()}
        self._socket.sendall(json.dumps(hello).encode() + b"\n")
        while b"\n" not in self._buffer:
            self._buffer += self._socket.recv(4096)
        welcome, self._buffer = self._buffer.split(b"\n", 1)
        if "refused" in json.loads(welcome):
            raise OSError(welcome.decode())
        self._socket.sendall(record(FILTER_BEGIN) + record(FILTER_ADD) + record(FILTER_COMMIT))

    def fileno(self):
        return self._socket.fileno()

    def close(self):
        self.closed = True
        self._socket.close()

    def send(self, packet):
        data = bytes(packet.data)
        extended = EFF if packet.flags == "extended" or packet.flags & 4 else 0
        self._socket.sendall(struct.pack("=IB3x8s", packet.identifier | extended, len(data), data))
        return len(data)

    @staticmethod
    def select(sockets, remain=0.0):
        return [each for each in sockets if each.has_frame(remain)]

    def has_frame(self, seconds):
        self._take()
        if not self._frames and select.select([self._socket], [], [], seconds)[0]:
            received = self._socket.recv(65536)
            if received == b"":
                self.closed = True
            self._buffer += received
            self._take()
        return bool(self._frames)

    def recv(self, _size=0):
        return self._frames.pop(0) if self.has_frame(0) else None

    def _take(self):
        while len(self._buffer) >= 16:
            word, length, flags, reserved = struct.unpack_from("=IBBB", self._buffer)
            size = 72 if flags & FDF and not word & ERR else 16
            if len(self._buffer) < size:
                return
            data, self._buffer = self._buffer[8 : 8 + length], self._buffer[size:]
            if word & ERR:
                if word & 0x1FFFFFFF == RETIRE:
                    self._socket.sendall(record(RETIRED))
                continue
            if reserved == ECHO or size == 72 or word & RTR:
                continue
            extended = "extended" if word & EFF else 0
            frame = CAN(identifier=word & 0x1FFFFFFF, flags=extended, length=length, data=data)
            if self._on_frame is not None:
                self._on_frame(frame)
            self._frames.append(frame)


def isotp(spec, tx_id, rx_id, on_frame=None, **options):
    return ISOTPSoftSocket(LocalBus(spec, on_frame), tx_id=tx_id, rx_id=rx_id, basecls=conf.raw_layer, **options)
