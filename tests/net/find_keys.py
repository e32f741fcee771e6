#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""find_keys.py KEYS PLACE...: does any eighth byte of a key show anywhere?

KEYS: key files, all of whose key= and root= fields count, separated by commas.
Each PLACE is searched for every aligned eight bytes of every key, as they are and
as hexadecimal digits in any spelling (spaces, commas, quotes, 0x between them).
Prints `PLACE: COUNT` for each place that shows some, never a key.
"""
import re
import sys


def keys_of(path):
    with open(path, encoding="ascii", errors="replace") as lines:
        return [bytes.fromhex(found) for found in re.findall(r"(?:key|root)=([0-9a-fA-F]{32,64})\b", lines.read())]


def chunks(key):
    return [key[at:at + 8] for at in range(0, len(key), 8)]


def main():
    keys = {key for path in sys.argv[1].split(",") for key in keys_of(path)}
    if not keys:
        sys.exit("no keys to look for")
    needles = {chunk for key in keys for chunk in chunks(key)}
    for place in sys.argv[2:]:
        with open(place, "rb") as file:
            data = file.read()
        digits = re.sub(rb'0x|[\s,:"\'\[\]]', b"", data.lower())
        count = sum(needle in data or needle.hex().encode() in digits for needle in needles)
        if count:
            print(f"{place}: {count}")


main()
