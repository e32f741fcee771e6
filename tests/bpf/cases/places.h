/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The receivers of frames.h by short names, and what the good packet's reason is, for rows of cases. */
#ifndef TESTS_BPF_CASES_PLACES_H
#define TESTS_BPF_CASES_PLACES_H

#include <halfkey/reason.h>

#include "tests/bpf/frames.h"

#define CORE	  "100.64.0.9"
#define V6_CORE	  "2001:db8:c::9"
#define RIM	  "100.64.1.9"
#define V6_EAST	  "2001:db8::9"
#define V6_WEST	  "2001:db8:e::9"
#define WEST	  "198.51.100.9"
#define BOTH	  "192.0.2.129"
#define SOUTH	  "203.0.113.9"
#define NORTH	  "198.18.0.9"
#define V6_NORTH  "2001:db8:f::9"
#define NOBODY	  "10.9.9.9"
#define DTLS	  "10.33.0.9"
#define TLS	  "10.44.0.9"
#define EDGE	  "100.64.2.9"
#define V6_EDGE	  "2001:db8:d::9"
#define V6_NOBODY "2001:db8:ffff::9"
#define GOOD	  HK_REASON_TO_WORKER

/* A poke: the envelope's byte `offset` is `byte`. */
#define BYTE_AT(offset, byte)             \
	{                                 \
		AT_ENVELOPE, offset, byte \
	}

#endif
