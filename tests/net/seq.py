#!/usr/bin/env python3
"""Numbered payloads that show every loss. Usage: seq.py send|receive tcp|udp ADDRESS PORT COUNT [PER-SECOND]

`receive` prints how many different numbers came, and how many were wrong; it ends when all are there, or
after a minute of nothing. Over UDP it answers each, and `send` has never more than 64 on the way without an
answer: no queue overflows while somebody in between stands still.
"""
import select
import socket
import struct
import sys
import time

role, kind, address, port, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
SIZE, WINDOW, PATIENCE = 512, 64, 60
SO_RCVBUFFORCE = 33  # beyond the system's limit
stream = kind == "tcp"


def payload(number):
    return struct.pack("!I", number) + bytes((number + i) & 255 for i in range(SIZE - 4))


def answers(sock, waiting, patience):
    """Takes what was answered out of `waiting`; False: nothing came."""
    if not select.select([sock], [], [], patience)[0]:
        return False
    try:
        waiting.discard(sock.recv(16))
    except OSError:  # nobody is there (yet, or any more): a datagram that gets no answer
        pass
    return True


def send(rate):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
    if stream:
        sock.settimeout(200)
    sock.connect((address, port))
    began, waiting = time.monotonic(), set()
    for number in range(count):
        while len(waiting) >= WINDOW:
            if not answers(sock, waiting, PATIENCE):
                sys.exit(f"{number}: no answers")
        wait = began + number / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        try:
            sock.sendall(payload(number))
        except OSError as error:
            if stream:
                sys.exit(f"{number}: {error}")
        if not stream:
            waiting.add(payload(number)[:4])
            while answers(sock, waiting, 0):
                pass
    while waiting and answers(sock, waiting, PATIENCE):
        pass
    sock.close()


def records(sock):
    if not stream:
        while True:
            record, sender = sock.recvfrom(2048)
            sock.sendto(record[:4], sender)
            yield record
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
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    sock.bind((address, port))
    sock.settimeout(200)
    if stream:
        sock.listen(1)
        sock = sock.accept()[0]
    seen, wrong = set(), 0
    try:
        for record in records(sock):
            sock.settimeout(PATIENCE)
            number = struct.unpack("!I", record[:4])[0]
            if record == payload(number):
                seen.add(number)
            else:
                wrong += 1
            if len(seen) == count:
                break
    except (TimeoutError, socket.timeout):
        pass
    print(len(seen), wrong)


if role == "send":
    send(float(sys.argv[6]) if len(sys.argv) > 6 else 1000.0)
else:
    receive()
