#!/usr/bin/env python3
"""Looks for repeated nonces in captures of sealed traffic.

Usage: nonces.py FILE.pcap...   (Ethernet; PSP on UDP 1000, ESP on UDP 4500 or protocol 50)

A nonce belongs to a receiver and an SPI: (destination, SPI, IV), and for ESP
also (destination, SPI, SN). One line: packets, SPIs and repeats; exit 1 when any.
"""
import struct
import sys


def packets(path):
    with open(path, "rb") as file:
        data = file.read()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at = 24
    while at + 16 <= len(data):
        size = struct.unpack(order + "IIII", data[at:at + 16])[2]
        yield data[at + 16:at + 16 + size]
        at += 16 + size


def sealed(frame):
    kind = struct.unpack(">H", frame[12:14])[0]
    ip = frame[14:]
    if kind == 0x0800:
        start, protocol, to = (ip[0] & 15) * 4, ip[9], ip[16:20]
    elif kind == 0x86dd:
        start, protocol, to = 40, ip[6], ip[24:40]
    else:
        return None
    body = ip[start:]
    if protocol == 17:
        port = struct.unpack(">H", body[2:4])[0]
        if port == 1000:
            return [("psp", to, body[12:16], body[16:24])]
        if port != 4500:
            return None
        body = body[8:]
    elif protocol != 50:
        return None
    return [("esp-iv", to, body[0:4], body[8:16]), ("esp-sn", to, body[0:4], body[4:8])]


seen, repeats, count, spis = set(), 0, 0, set()
for name in sys.argv[1:]:
    for frame in packets(name):
        numbers = sealed(frame)
        if not numbers:
            continue
        count += 1
        spis.add((numbers[0][1], numbers[0][2]))
        for number in numbers:
            repeats += number in seen
            seen.add(number)
print(f"{count} packets, {len(spis)} SPIs, {repeats} repeats")
sys.exit(1 if repeats or not count else 0)
