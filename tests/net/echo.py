#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Echo requests of which none may be lost, on a machine of any speed.

echo.py ADDRESS COUNT [INTERVAL [SIZE]]   SIZE: payload bytes, never in fragments (as ping -M do -s)

What ping does not do: it waits for the last answers as long as they take ($PATIENCE seconds, a minute where
it is not set, without one are a loss), and has never more than 64 requests on the way, so that no queue
overflows while somebody in between stands still. A machine that stands still as a whole uses no patience up:
only the time counts in which this program ran and listened. SIGINT ends the sending, not the waiting: send
it when the file $BEGUN is there, which is made with the first answer. Prints ping's summary; status 0 when
every request was answered.
"""
import os
import select
import signal
import socket
import struct
import sys
import time

WINDOW = 64
TURN = 0.2  # seconds at most to wait at once
PATIENCE = float(os.environ.get("PATIENCE", 60))
BEGUN = os.environ.get("BEGUN")
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, DO, SO_RCVBUFFORCE = 10, 23, 2, 33

address, count = sys.argv[1], int(sys.argv[2])
interval = float(sys.argv[3]) if len(sys.argv) > 3 else 0.1
size = int(sys.argv[4]) if len(sys.argv) > 4 else 56
six = ":" in address
REQUEST, REPLY = (128, 129) if six else (8, 0)
number = os.getpid() & 0xffff


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data[:len(data) & ~1]))
    total += data[-1] << 8 if len(data) & 1 else 0
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def request(sequence):
    body = struct.pack(">I", sequence).ljust(size, b"e")[:size]
    head = struct.pack(">BBHHH", REQUEST, 0, 0, number, sequence & 0xffff)
    if not six:  # ICMPv6's is the kernel's
        head = head[:2] + struct.pack(">H", checksum(head + body)) + head[4:]
    return head + body


def answered(wire):
    """The sequence number of an answer to us that came whole, or None."""
    data = wire.recv(65536)
    data = data if six else data[(data[0] & 15) * 4:]
    if len(data) < 8 or data[0] != REPLY or data[4:6] != number.to_bytes(2, "big"):
        return None
    sequence = int.from_bytes(data[6:8], "big")
    return sequence if data[8:] == request(sequence)[8:] else None


def stop(*_):
    global count
    count = sent


wire = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW,
                     socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
wire.setsockopt(*((socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER) if six else (socket.IPPROTO_IP, IP_MTU_DISCOVER)), DO)
sent, received, waiting, due, silent = 0, 0, set(), time.monotonic(), 0.0
signal.signal(signal.SIGINT, stop)
while (sent < count or waiting) and silent < PATIENCE:
    now = time.monotonic()
    if sent < count and len(waiting) < WINDOW and now >= due:
        wire.sendto(request(sent & 0xffff), (address, 0))
        waiting.add(sent & 0xffff)
        sent += 1
        due = now + interval
        continue
    wait = max(0, min(due - now, TURN)) if sent < count and len(waiting) < WINDOW else TURN
    which = answered(wire) if select.select([wire], [], [], wait)[0] else None
    silent = silent + min(time.monotonic() - now, wait) if waiting else 0.0
    if which in waiting:
        if BEGUN and not received:
            open(BEGUN, "w").close()
        waiting.remove(which)
        received += 1
        silent = 0.0
lost = sent - received
print(f"{sent} packets transmitted, {received} received, {100 * lost / sent if sent else 0:g}% packet loss")
sys.exit(lost != 0)
