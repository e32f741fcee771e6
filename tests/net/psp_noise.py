# SPDX-License-Identifier: GPL-2.0-or-later
"""PSP packets (version 5) around noise: what a receiver sees must be what was sent.

psp_noise.py send COUNT BYTES ADDRESS    datagrams of BYTES bytes; prints a hash of each
psp_noise.py receive COUNT               prints a hash of each, in order
"""
import hashlib
import os
import socket
import struct
import sys
import time

SO_RCVBUFFORCE = 33  # beyond the system's limit


def say(datagram):
    print(hashlib.sha256(datagram).hexdigest(), len(datagram), flush=True)


def send(count, size, address):
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for number in range(count):
        # next header 4 (IPv4 inside), one length unit, no offset, version 5, SPI, IV
        header = struct.pack(">BBBBIQ", 4, 1, 0, 5 << 2 | 1, 0x2001, number)
        datagram = header + os.urandom(size - len(header))
        say(datagram)
        out.sendto(datagram, (address, 1000))
        time.sleep(0.002)


def receive(count):
    into = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    into.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    into.bind(("0.0.0.0", 1000))
    for _ in range(count):
        say(into.recv(65536))


if sys.argv[1] == "send":
    send(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
else:
    receive(int(sys.argv[2]))
