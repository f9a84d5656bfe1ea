"""scapy as client: reads one JSON object a line, sends its request, and prints the answer as scapy decodes it.

  scapy_client.py LOCAL_BUS '{"tx": 2017, "rx": 2025, "functional": 2015, ...}'

{"scapy": "UDS()/UDS_TP()"} is a request in scapy's words, {"hex": "3e00"} one in bytes; "functional": true sends it to all.
Answers: {"request": hex, "pending": N, "hex": ..., "layer": name, "fields": {...}, "rest": hex}, or {"silent": true}.
"""

import json
import sys

import local_bus
from scapy.all import *  # noqa: F401,F403
from scapy.contrib.automotive.uds import *  # noqa: F401,F403

spec, address = sys.argv[1], json.loads(sys.argv[2])
options = address.get("options", {})
ecu = local_bus.isotp(spec, address["tx"], address["rx"], **options)
everyone = local_bus.isotp(spec, address["functional"], 0, padding=True) if "functional" in address else None
print("ready", flush=True)


def plain(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, Packet):
        return {key: plain(each) for key, each in value.fields.items()}
    return value if isinstance(value, (int, str, float, type(None))) else str(value)


def answer(timeout):
    # sniff would poll; select of the socket waits for its own queue.
    received = ecu.sniff(count=1, timeout=timeout)
    return bytes(received[0]) if received else None


for line in sys.stdin:
    order = json.loads(line)
    request = bytes.fromhex(order["hex"]) if "hex" in order else bytes(eval(order["scapy"]))
    (everyone if order.get("functional") else ecu).send(conf.raw_layer(request))
    pending = 0
    data = answer(order.get("timeout", 30))
    while data is not None and data[:1] == b"\x7f" and data[2:] == b"\x78":
        pending += 1
        data = answer(30)
    result = {"request": request.hex(), "pending": pending}
    if data is None:
        result["silent"] = True
    else:
        uds = UDS(data)
        layer = uds.payload
        result.update(hex=data.hex(), service=uds.sprintf("%UDS.service%"), answers=bool(uds.answers(UDS(request))))
        result.update(layer=type(layer).__name__, fields=plain(layer), rest=bytes(layer.payload).hex())
    print(json.dumps(result), flush=True)
