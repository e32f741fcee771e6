/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which reasons a test program met: every answer of the parser and every fate
 * of the pipeline is noted (the linker puts reasons.c around both), the XDP
 * program's are noted by its fixture. At the end the program prints them as
 *
 *   # met: psp-short no-key ...
 *
 * which tests/run.sh collects and tests/test_reasons.sh holds against reason.h.
 */
#ifndef TESTS_UNIT_REASONS_H
#define TESTS_UNIT_REASONS_H

void reason_met(unsigned reason);

#endif
