#!/usr/bin/env python3
"""DNS-shaped UDP for the demo: a server that answers every A query, and a client.

demo-dns.py serve ADDRESS      answers until it is stopped
demo-dns.py ask ADDRESS NAME   prints the answer; exit status 1 when none comes
"""
import socket
import struct
import sys


def query(name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">6H", 0x4844, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)


def answer(message):
    header = message[:2] + struct.pack(">5H", 0x8180, 1, 1, 0, 0)
    record = struct.pack(">3HIH4B", 0xC00C, 1, 1, 60, 4, 203, 0, 113, 7)
    return header + message[12:] + record


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(address):
    with socket.socket(family(address), socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        while True:
            message, peer = server.recvfrom(512)
            if len(message) >= 17:
                server.sendto(answer(message), peer)


def ask(address, name):
    with socket.socket(family(address), socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.sendto(query(name), (address, 53))
        try:
            reply = client.recv(512)
        except socket.timeout:
            print("no answer")
            return 1
    print(".".join(str(byte) for byte in reply[-4:]))
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    sys.exit(ask(sys.argv[2], sys.argv[3]))
