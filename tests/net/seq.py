#!/usr/bin/env python3
"""Numbered payloads that show every loss. Usage: seq.py send|receive tcp|udp ADDRESS PORT COUNT [PER-SECOND]

`receive` prints how many different numbers came, and ends at the last one, or
after a minute of nothing.
"""
import socket
import struct
import sys
import time

role, kind, address, port, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
SIZE = 512
stream = kind == "tcp"


def payload(number):
    return struct.pack("!I", number) + bytes((number + i) & 255 for i in range(SIZE - 4))


def send(rate):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
    if stream:
        sock.settimeout(200)
    sock.connect((address, port))
    began = time.monotonic()
    for number in range(count):
        wait = began + number / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        try:
            sock.sendall(payload(number))
        except OSError as error:
            if stream:
                sys.exit(f"{number}: {error}")
    sock.close()


def records(sock):
    if not stream:
        while True:
            yield sock.recv(2048)
    buffer = b""
    while True:
        some = sock.recv(65536)
        if not some:
            return
        buffer += some
        while len(buffer) >= SIZE:
            yield buffer[:SIZE]
            buffer = buffer[SIZE:]


def receive():
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((address, port))
    sock.settimeout(200)
    if stream:
        sock.listen(1)
        sock = sock.accept()[0]
    seen, wrong = set(), 0
    try:
        for record in records(sock):
            sock.settimeout(60)
            number = struct.unpack("!I", record[:4])[0]
            if record == payload(number):
                seen.add(number)
            else:
                wrong += 1
            if number == count - 1 or len(seen) == count:
                break
    except (TimeoutError, socket.timeout):
        pass
    print(len(seen), wrong)


if role == "send":
    send(float(sys.argv[6]) if len(sys.argv) > 6 else 1000.0)
else:
    receive()
