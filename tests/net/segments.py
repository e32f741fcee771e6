#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP segments of a capture in another order, some of them twice.

segments.py shuffle IN.pcap OUT.pcap SEED   neighbours change places, every fifth comes again later;
                                            the first 30 stay as they are (the handshake)
segments.py play IN.pcap NETNS DEVICE NETNS DEVICE ADDRESS
                                            sends what ADDRESS sent on the first device, the rest on
                                            the second, to a MAC address of nobody
"""
import ctypes
import os
import random
import socket
import struct
import sys
import time


def read(path):
    with open(path, "rb") as capture:
        head = capture.read(24)
        packets = []
        while record := capture.read(16):
            packets.append((record, capture.read(struct.unpack("<IIII", record)[2])))
    return head, packets


def cut(frame):
    """The receiver joins segments before a capture sees them: back to what the wire carried."""
    header = 14 + 20 + (frame[46] >> 4) * 4
    sequence = struct.unpack(">I", frame[38:42])[0]
    data = frame[header:14 + struct.unpack(">H", frame[16:18])[0]]
    for at in range(0, max(len(data), 1), 1200):
        piece = data[at:at + 1200]
        yield frame[:16] + struct.pack(">H", header - 14 + len(piece)) + frame[18:38] + \
            struct.pack(">I", (sequence + at) & 0xffffffff) + frame[42:header] + piece


def shuffle(source, target, seed):
    draw = random.Random(seed)
    head, packets = read(source)
    packets = [piece for _, frame in packets for piece in cut(frame)]
    for at in range(30, len(packets) - 4):
        other = at + draw.randrange(4)
        packets[at], packets[other] = packets[other], packets[at]
    out = []
    for number, packet in enumerate(packets):
        out.append(packet)
        if number > 40 and number % 5 == 0:
            out.append(packets[number - 6])
    with open(target, "wb") as capture:
        capture.write(head)
        for number, frame in enumerate(out):
            capture.write(struct.pack("<IIII", 1700000000, number * 10, len(frame), len(frame)) + frame)


def device(netns, name):
    with open(f"/run/netns/{netns}", "rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0):
            raise OSError(ctypes.get_errno(), "setns")
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((name, 0))
    return raw


def play(source, first, second, address):
    ends = (device(*first), device(*second))
    address = socket.inet_aton(address)
    for _, frame in read(source)[1]:
        frame = bytes([2, 0, 0, 0, 0xaa, 0xaa]) + frame[6:]
        ends[0 if frame[26:30] == address else 1].send(frame)
        time.sleep(0.0005)


if sys.argv[1] == "shuffle":
    shuffle(sys.argv[2], sys.argv[3], int(sys.argv[4]))
else:
    play(sys.argv[2], sys.argv[3:5], sys.argv[5:7], sys.argv[7])
os._exit(0)
