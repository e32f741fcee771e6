/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every program that runs each envelope's rows does with them: cut, flipped
 * and as stumps. The program itself says in each_row() what a run is.
 */
#ifndef TESTS_UNIT_ENVELOPE_SWEEPS_H
#define TESTS_UNIT_ENVELOPE_SWEEPS_H

#include "tests/unit/envelope_rows.h"

static void each_row(void (*each)(struct row_scene *scene, row_run *run));

static void cut_to_every_length(void)
{
	each_row(row_each_cut);
}

static void reserved_fields(void)
{
	each_row(row_each_flip);
}

static void stumps(void)
{
	each_row(row_each_stump);
}

#endif
