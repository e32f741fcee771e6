// SPDX-License-Identifier: GPL-2.0-or-later
/* A pulled key set and the inspector that got it (user/cmd/keys_put.h): the daemon is made up. */
#include "tests/unit/harness.h"
#include "tests/unit/view_help.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "user/cmd/keys_put.h"

#define LINE                                                                                                 \
	"slot=0 generation=1 side=enc key=e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0 " \
	"receiver=192.0.2.9\n"

static struct hk_key_place place(const char *into)
{
	return (struct hk_key_place){.into = into, .daemon = {.socket = path}};
}

/* Also where process ids begin anew, as in a container: there the next inspector has the same one. */
static void another_inspector_is_noticed(void)
{
	struct hk_key_place east = place("east");
	struct hk_error error = {""};

	CU_ASSERT_EQUAL(hk_keys_still_there(&east, &error), 0);
	CU_ASSERT_EQUAL(hk_keys_put(&east, LINE, &error), 0);
	CU_ASSERT_STRING_EQUAL(keys_text, LINE);
	CU_ASSERT_EQUAL(hk_keys_still_there(&east, &error), 0);
	inspector_started_ns++;
	CU_ASSERT_EQUAL(hk_keys_still_there(&east, &error), -ESTALE);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "domain east: not the process that got the keys"));
	CU_ASSERT_EQUAL(hk_keys_put(&east, LINE, &error), 0);
	CU_ASSERT_EQUAL(hk_keys_still_there(&east, &error), 0);
}

static void what_is_refused_has_no_holder(void)
{
	struct hk_key_place nowhere = place("nowhere");
	struct hk_error error = {""};

	CU_ASSERT(hk_keys_put(&nowhere, LINE, &error) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "no such domain"));
	CU_ASSERT_EQUAL(hk_keys_still_there(&nowhere, &error), 0);
}

int main(void)
{
	static const struct test tests[] = {
		{"another inspector is noticed", another_inspector_is_noticed},
		{"what is refused has no holder", what_is_refused_has_no_holder},
		{0},
	};
	char directory[] = "/tmp/halfkey-keyput-XXXXXX";
	int status;

	if (!mkdtemp(directory) || start(directory))
		return 1;
	status = run_tests("keyput", tests);
	stop();
	unlink(path);
	rmdir(directory);
	return status;
}
