#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests to a key server, as somebody, and all that it answers.

ask.py HOST:PORT CA CERT KEY REQUEST...

Prints the answers' JSON when each request has one (an `ack` gets none), or when the server has
closed the connection; a minute without either ends it, too.
"""
import json
import socket
import ssl
import struct
import sys

PATIENCE = 60
ANSWERS = ("welcome", "keys", "spi", "refused")

host, port = sys.argv[1].rsplit(":", 1)
requests = sys.argv[5:]


def is_ack(message):
    return isinstance(message, dict) and message.get("op") == "ack"


def receive(sock, size):
    data = b""
    while len(data) < size:
        some = sock.recv(size - len(data))
        if not some:
            raise ConnectionResetError
        data += some
    return data


def main():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.check_hostname = False
    tls.load_verify_locations(sys.argv[2])
    tls.load_cert_chain(sys.argv[3], sys.argv[4])
    sock = tls.wrap_socket(socket.create_connection((host, int(port)), timeout=PATIENCE))
    sock.sendall(b"".join(struct.pack("!I", len(r)) + r.encode() for r in requests))
    left = sum(not is_ack(json.loads(r)) for r in requests)
    while left:
        text = receive(sock, struct.unpack("!I", receive(sock, 4))[0]).decode()
        print(text, end="")
        answer = json.loads(text)
        left -= answer["type"] in ANSWERS and not is_ack(answer)


try:
    main()
except OSError:  # closed, or never open: what was said is printed
    pass
