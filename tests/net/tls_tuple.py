#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of one TLS 1.2 connection (AES-128-GCM, SHA-256), as who will not hand out its master secret gives them.

tls_tuple.py CAPTURE.pcap KEY-LOG     prints a TLS_KEYS line for the connection whose hellos are in the capture
"""
import hmac
import socket
import struct
import sys


def packets(path):
    with open(path, "rb") as capture:
        capture.read(24)
        while record := capture.read(16):
            yield capture.read(struct.unpack("<IIII", record)[2])


def hellos(path):
    """(ends, random) of the client's and the server's hello."""
    found = {}
    for frame in packets(path):
        data = frame[14 + 20 + (frame[46] >> 4) * 4:14 + struct.unpack(">H", frame[16:18])[0]]
        if len(data) > 43 and data[0] == 22 and data[5] in (1, 2):
            ends = (frame[26:30], frame[34:36], frame[30:34], frame[36:38])
            found.setdefault(data[5], (ends, data[11:43]))
    return found[1], found[2][1]


def prf(secret, label, seed, size):
    seed, out, chain = label + seed, b"", label + seed
    while len(out) < size:
        chain = hmac.digest(secret, chain, "sha256")
        out += hmac.digest(secret, chain + seed, "sha256")
    return out[:size]


(ends, client), server = hellos(sys.argv[1])
with open(sys.argv[2]) as log:
    masters = {words[1]: words[2] for words in map(str.split, log) if words[:1] == ["CLIENT_RANDOM"]}
block = prf(bytes.fromhex(masters[client.hex()]), b"key expansion", server + client, 40).hex()
print("TLS_KEYS", socket.inet_ntoa(ends[0]), int.from_bytes(ends[1], "big"), socket.inet_ntoa(ends[2]),
      int.from_bytes(ends[3], "big"), block[:32], block[64:72], block[32:64], block[72:80])
