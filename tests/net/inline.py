#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames of a capture as they are, onto a link and off it.

inline.py send INTERFACE IN.pcap          one after the other
inline.py receive INTERFACE COUNT         prints `ready`, then a hash of each 192.0.2.0/24 packet of
                                          ESP (IP or UDP 4500), until they are COUNT and no more
                                          come, or none came for a minute
inline.py hashes IN.pcap                  the same of a capture
inline.py join OUT.pcap IN.pcap...        several captures as one
"""
import hashlib
import socket
import sys
import time

SO_RCVBUFFORCE = 33  # beyond the system's limit


def frames(path):
    with open(path, "rb") as capture:
        capture.read(24)
        while head := capture.read(16):
            yield head, capture.read(int.from_bytes(head[8:12], "little"))


def say(frame):
    length = int.from_bytes(frame[16:18], "big")
    print(hashlib.sha256(frame[14:14 + length]).hexdigest(), flush=True)


def is_ours(frame):
    if frame[12:14] != b"\x08\x00" or frame[26:29] != bytes([192, 0, 2]):
        return False
    return frame[23] == 50 or (frame[23] == 17 and frame[36:38] == (4500).to_bytes(2, "big"))


if sys.argv[1] == "send":
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind((sys.argv[2], 0))
    for _, frame in frames(sys.argv[3]):
        link.send(frame)
        time.sleep(0.001)
elif sys.argv[1] == "hashes":
    for _, frame in frames(sys.argv[2]):
        say(frame)
elif sys.argv[1] == "join":
    with open(sys.argv[3], "rb") as first, open(sys.argv[2], "wb") as out:
        out.write(first.read(24))
        for path in sys.argv[3:]:
            for head, frame in frames(path):
                out.write(head + frame)
else:
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    link.bind((sys.argv[2], 0))
    link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    link.settimeout(60)
    print("ready", flush=True)
    left = int(sys.argv[3])
    try:
        while True:
            frame, address = link.recvfrom(65535)
            if address[2] != socket.PACKET_OUTGOING and is_ours(frame):
                say(frame)
                left -= 1
                if left <= 0:
                    link.settimeout(0.2)  # one too many would show
    except TimeoutError:
        pass
