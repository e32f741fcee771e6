#!/usr/bin/env python3
"""Clients a key server must not suffer from. Usage: keyclient.py MODE HOST:PORT COUNT [CA CERT KEY]

CERT with a %d in it stands for many certificates: 0 for the first 16 connections, 1 for the next...

  silent    COUNT TCP connections that say nothing
  half      COUNT connections that send half a TLS hello
  stuck     COUNT connections, through the handshake, that send half a message
  deaf      COUNT connections that ask without end and never read
  many      COUNT connections, through the handshake, that stay

Prints `up N` when all that can be made are made (N of them), then waits until the
server has closed them or standard input ends, and prints `closed N SECONDS`.
"""
import functools
import select
import socket
import ssl
import struct
import sys
import time

mode, where, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
host, port = where.rsplit(":", 1)


def frame(text):
    return struct.pack("!I", len(text)) + text.encode()


@functools.lru_cache(maxsize=1)
def context(number):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.check_hostname = False
    tls.load_verify_locations(sys.argv[4])
    tls.load_cert_chain(sys.argv[5].replace("%d", str(number)), sys.argv[6])
    return tls


def connect(tls):
    sock = socket.create_connection((host, int(port)), timeout=60)
    if mode == "deaf":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    if mode == "half":
        sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01")
    if tls:
        sock = tls.wrap_socket(sock)
        sock.sendall(frame('{"op":"hello","role":"host"}'))
        if mode != "deaf":  # TLS 1.3: a refused certificate shows in the first answer
            if not sock.recv(1):
                raise ConnectionResetError
        if mode == "stuck":
            sock.sendall(frame('{"op":"subscribe","domain":"tunnel"}')[:20])
    return sock


def shout(sock):
    """Requests without end; False: the server has had enough."""
    sock.settimeout(0.2)
    try:
        for _ in range(200):
            sock.sendall(frame('{"op":"hello","role":"host"}') * 20)
    except (TimeoutError, socket.timeout):
        return True
    except OSError:
        return False
    return True


def gone(sock):
    try:
        while select.select([sock], [], [], 0)[0]:
            if not sock.recv(65536):
                return True
    except (ssl.SSLWantReadError, BlockingIOError, TimeoutError, socket.timeout):
        return False
    except OSError:
        return True
    return False


def main():
    socks = []
    for number in range(count):
        tls = context(number // 16) if len(sys.argv) > 4 else None
        try:
            socks.append(connect(tls))
        except OSError:
            pass
    began = time.monotonic()
    print("up", len(socks), flush=True)
    closed = 0
    while socks:
        if mode == "deaf":
            left = [s for s in socks if shout(s)]
        else:
            left = [s for s in socks if not gone(s)]
        closed += len(socks) - len(left)
        socks = left
        if select.select([sys.stdin], [], [], 0.1)[0]:
            break
    print("closed", closed, int(time.monotonic() - began), flush=True)


main()
