#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""UDP datagrams as a capture, and a capture's payloads as UDP datagrams.

dtls.py make OUT.pcap COUNT SOURCE DESTINATION  to port 4433, payload `halfkey plaintext N`
dtls.py send IN.pcap ADDRESS                    its payloads, from port 40000 to 4433
dtls.py receive COUNT                           prints a hash of each, until none came for a minute
dtls.py hashes IN.pcap                          the same of a capture's payloads
"""
import hashlib
import socket
import struct
import sys
import time

SO_RCVBUFFORCE = 33  # beyond the system's limit


def say(payload):
    print(hashlib.sha256(payload).hexdigest(), len(payload), flush=True)


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def make(path, count, source, destination):
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for n in range(count):
            payload = f"halfkey plaintext {n:04}".encode()
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), n, 0x4000, 64, 17, 0,
                             socket.inet_aton(source), socket.inet_aton(destination))
            ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
            frame = bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0]) + ip + \
                struct.pack(">HHHH", 40000, 4433, 8 + len(payload), 0) + payload
            out.write(struct.pack("<IIII", 1700000000, n, len(frame), len(frame)) + frame)


def payloads(path):
    with open(path, "rb") as capture:
        capture.read(24)
        while head := capture.read(16):
            frame = capture.read(struct.unpack("<IIII", head)[2])
            yield frame[42:14 + struct.unpack(">H", frame[16:18])[0]]


if sys.argv[1] == "make":
    make(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
elif sys.argv[1] == "send":
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.bind(("0.0.0.0", 40000))
    for payload in payloads(sys.argv[2]):
        out.sendto(payload, (sys.argv[3], 4433))
        time.sleep(0.001)
elif sys.argv[1] == "hashes":
    for payload in payloads(sys.argv[2]):
        say(payload)
else:
    into = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    into.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    into.bind(("0.0.0.0", 4433))
    into.settimeout(60)
    try:
        for _ in range(int(sys.argv[2])):
            say(into.recv(65536))
    except socket.timeout:
        pass
