#!/usr/bin/env python3
"""Writes a capture of plain packets to seal: capture.py OUT.pcap COUNT

Ethernet; UDP from 10.0.0.1 to 10.0.0.2 and fd00::1 to fd00::2 in turn, port
1234 to 9999, payload `halfkey plaintext N`; then one ARP frame. Packet N was
seen N milliseconds after second 1700000000.
"""
import struct
import sys


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def udp(payload):
    return struct.pack(">HHHH", 1234, 9999, 8 + len(payload), 0) + payload


def ipv4(body):
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0x4000, 64, 17, 0,
                         bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + body


def ipv6(body):
    end = bytes([0xfd]) + bytes(14)
    pseudo = end + b"\1" + end + b"\2" + struct.pack(">II", len(body), 17)
    sum_ = checksum(pseudo + body + bytes(len(body) % 2))
    return struct.pack(">IHBB", 6 << 28, len(body), 17, 64) + end + b"\1" + end + b"\2" + \
        body[:6] + struct.pack(">H", sum_) + body[8:]


with open(sys.argv[1], "wb") as out:
    out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    for n in range(int(sys.argv[2]) + 1):
        body = udp(f"halfkey plaintext {n}".encode())
        frame = bytes([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1])
        if n == int(sys.argv[2]):
            frame += b"\x08\x06" + bytes(46)
        elif n % 2:
            frame += b"\x86\xdd" + ipv6(body)
        else:
            frame += b"\x08\x00" + ipv4(body)
            frame += bytes(max(0, 60 - len(frame)))
        out.write(struct.pack("<IIII", 1700000000, n * 1000, len(frame), len(frame)) + frame)
