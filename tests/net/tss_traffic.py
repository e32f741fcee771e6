#!/usr/bin/env python3
"""UEC packets for the tests of TSS.

  tss_traffic.py capture OUT.pcap FROM TO COUNT
        a capture of PDS in the clear: UDP 4793, types 2 to 14 in turn
  tss_traffic.py send SEALED.pcap [CHANGE]
        sends what it holds by sockets of this host: UDP, or IP alone. CHANGE: `icv`
        flips the last bit, `reserved` and `type` bits of the first TSS byte
  tss_traffic.py receive ADDRESS PROTOCOL COUNT
        prints every TSS or PDS message that arrives, in hexadecimal, until none came for a
        minute; PROTOCOL 0: UDP 4793
  tss_traffic.py payloads CAPTURE.pcap
        prints the messages of a capture as `receive` would
"""
import socket
import struct
import sys
import time

PORT = 4793
SO_RCVBUFFORCE = 33  # beyond the system's limit
HEAD = struct.Struct("<IHHiIII")
ROW = struct.Struct("<IIII")


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip(source, destination, body):
    if ":" in source:
        return struct.pack(">IHBB", 6 << 28, len(body), 17, 64) + \
            socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination) + body
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0x4000, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(destination))
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + body


def capture(path, source, destination, count):
    with open(path, "wb") as out:
        out.write(HEAD.pack(0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for n in range(int(count)):
            pds = bytes([(2 + n % 13) << 3]) + f" packet delivery {n}".encode() * (1 + n % 40)
            body = struct.pack(">HHHH", 50000 + n % 8, PORT, 8 + len(pds), 0) + pds
            frame = bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]) + \
                (b"\x86\xdd" if ":" in source else b"\x08\x00") + ip(source, destination, body)
            out.write(ROW.pack(1700000000, n, len(frame), len(frame)) + frame)


def messages(path):
    """(destination, protocol, source port, message) of each packet."""
    data = open(path, "rb").read()
    at = HEAD.size
    while at < len(data):
        size = ROW.unpack_from(data, at)[2]
        packet = data[at + ROW.size + 14:at + ROW.size + size]
        at += ROW.size + size
        if packet[0] >> 4 == 4:
            packet = packet[:struct.unpack_from(">H", packet, 2)[0]]
            family, to, protocol, body = socket.AF_INET, packet[16:20], packet[9], packet[20:]
        else:
            family, to, protocol, body = socket.AF_INET6, packet[24:40], packet[6], packet[40:]
        to = socket.inet_ntop(family, to)
        if protocol == 17:
            yield family, to, 0, struct.unpack_from(">H", body)[0], body[8:]
        else:
            yield family, to, protocol, 0, body


def change(message, protocol, how):
    first = 4 if protocol else 0
    out = bytearray(message)
    if how == "icv":
        out[-1] ^= 1
    elif how == "reserved":
        out[first] |= 2
    elif how == "type":
        out[first] &= 7
    return bytes(out)


def send(path, how=""):
    sockets = {}
    for family, to, protocol, port, message in messages(path):
        if (protocol, port) not in sockets:
            made = socket.socket(family, socket.SOCK_RAW if protocol else socket.SOCK_DGRAM, protocol)
            if not protocol:
                made.bind(("", port))
            sockets[protocol, port] = made
        sockets[protocol, port].sendto(change(message, protocol, how), (to, 0 if protocol else PORT))
        time.sleep(0.001)


def receive(address, protocol, count):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    raw = int(protocol)
    listening = socket.socket(family, socket.SOCK_RAW if raw else socket.SOCK_DGRAM, raw)
    listening.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
    listening.bind((address, 0 if raw else PORT))
    print("ready", flush=True)
    left = int(count)
    while True:
        listening.settimeout(60 if left > 0 else 0.2)  # one too many would show
        try:
            data = listening.recv(65536)
        except TimeoutError:
            return
        left -= 1
        if raw and family == socket.AF_INET:
            data = data[20:]
        print(data.hex(), flush=True)


def payloads(path):
    for message in messages(path):
        print(message[4].hex())


{"capture": capture, "send": send, "receive": receive, "payloads": payloads}[sys.argv[1]](*sys.argv[2:])
