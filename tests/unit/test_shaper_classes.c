// SPDX-License-Identifier: GPL-2.0-or-later
/* The shaper's classes file: what its units mean, and where each number's bounds are. */
#include "tests/unit/harness.h"
#include "tests/unit/hook_settings.h"

#include "user/hooks/shaper_classes.h"

static char said[512];

static int load(struct hk_shaper_classes *out, const char *text)
{
	struct hk_hooks_refusal refusal = {.text = said, .size = sizeof(said), .path = "FILE"};
	struct hk_hook_setup setup = {.settings_path = "FILE", .domain_id = test_domain};
	int code;

	said[0] = '\0';
	setup.settings_fd = memfd_create("classes", MFD_CLOEXEC);
	CU_ASSERT_EQUAL_FATAL(write(setup.settings_fd, text, strlen(text)), (ssize_t)strlen(text));
	code = hk_shaper_classes_load(out, &setup, &refusal);
	close(setup.settings_fd);
	return code;
}

/* One class with this rate, and more of it; its numbers, or all 0 where it is refused. */
static struct hk_shaper_class class_of(const char *rate, const char *more)
{
	struct hk_shaper_class class = {.rate = 0};
	struct hk_shaper_classes classes;
	char text[256];

	snprintf(text, sizeof(text), "classes: [{name: a, rate: %s%s}]", rate, more);
	if (load(&classes, text)) {
		CU_ASSERT_PTR_NOT_NULL(strstr(said, "class 1 (a)"));
		return class;
	}
	CU_ASSERT_EQUAL(classes.count, 1);
	class = classes.classes[0];
	hk_shaper_classes_free(&classes);
	return class;
}

static void rates(void)
{
	static const struct {
		const char *text;
		__u64 bits;
	} rows[] = {
		{"1000bit", 1000},
		{"1kbit", 1000},
		{"999bit", 0},
		{"7mbit", 7000000},
		{"7 Mbit", 7000000},
		{"2gbit", 2000000000},
		{"125byte", 1000},
		{"124byte", 0},
		{"3kbyte", 24000},
		{"3mbyte", 24000000},
		{"3gbyte", 24000000000},
		{"400gbit", 400000000000},
		{"401gbit", 0},
		{"400000000001bit", 0},
		{"50gbyte", 400000000000},
		{"51gbyte", 0},
		{"000000000001mbit", 1000000},
		{"0000000000001mbit", 0},
		{"1", 0},
		{"mbit", 0},
		{"1tbit", 0},
		{"-1mbit", 0},
	};
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(class_of(rows[i].text, "").rate, rows[i].bits);
		if (!rows[i].bits)
			CU_ASSERT_PTR_NOT_NULL(strstr(said, "from 1kbit to 400gbit"));
	}
}

/* Ten milliseconds of the rate, and two packets at least. */
static void bursts(void)
{
	static const struct {
		const char *rate, *more;
		__u64 burst;
	} rows[] = {
		{"1mbit", "", 3000},
		{"2400kbit", "", 3000},
		{"2401kbit", "", 3001},
		{"400gbit", "", 500000000},
		{"1mbit", ", burst: 1", 1},
		{"1mbit", ", burst: 0", 0},
		{"1mbit", ", burst: 2k", 2048},
		{"1mbit", ", burst: 2kb", 2048},
		{"1mbit", ", burst: 2m", 2097152},
		{"1mbit", ", burst: 2 MB", 2097152},
		{"1mbit", ", burst: 1024m", 1 << 30},
		{"1mbit", ", burst: 1073741825", 0},
		{"1mbit", ", burst: 1g", 0},
	};
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(class_of(rows[i].rate, rows[i].more).burst, rows[i].burst);
}

static void queues(void)
{
	CU_ASSERT_EQUAL(class_of("1mbit", "").queue, 500);
	CU_ASSERT_EQUAL(class_of("1mbit", ", queue: 1").queue, 1);
	CU_ASSERT_EQUAL(class_of("1mbit", ", queue: 65536").queue, 65536);
	CU_ASSERT_EQUAL(class_of("1mbit", ", queue: 65537").queue, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "from 1 to 65536"));
	CU_ASSERT_EQUAL(class_of("1mbit", ", queue: 0").queue, 0);
}

static void names(void)
{
	struct hk_shaper_classes classes;

	CU_ASSERT_EQUAL_FATAL(
		load(&classes,
			"classes: [{name: a, rate: 1mbit}, {name: b, rate: 2mbit}, {name: A, rate: 3mbit}]"),
		0);
	CU_ASSERT_EQUAL(classes.count, 3);
	CU_ASSERT_STRING_EQUAL(classes.classes[2].name, "A");
	CU_ASSERT_EQUAL(classes.classes[1].rate, 2000000);
	hk_shaper_classes_free(&classes);
	CU_ASSERT_EQUAL(
		load(&classes,
			"classes: [{name: a, rate: 1mbit}, {name: b, rate: 2mbit}, {name: a, rate: 3mbit}]"),
		-1);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "the name \"a\" is given twice"));
	CU_ASSERT_EQUAL(load(&classes, "classes: [{name: a b, rate: 1mbit}]"), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "printable ASCII without spaces"));
	/* of a class that is refused behind good ones nothing stays */
	CU_ASSERT_EQUAL(load(&classes, "classes: [{name: a, rate: 1mbit, match: {source: 192.0.2.0/24}}, "
				       "{name: b, rate: 1mbit, "
				       "match: {source: 192.0.2.0/24, protocol: tcp, destination-port: x}}]"),
		-1);
	CU_ASSERT_PTR_NOT_NULL(strstr(said, "class 2 (b)"));
	CU_ASSERT_EQUAL(classes.count, 0);
	CU_ASSERT_PTR_NULL(classes.classes);
}

int main(void)
{
	static const struct test tests[] = {
		{"rates", rates},
		{"bursts", bursts},
		{"queues", queues},
		{"names", names},
		{0},
	};
	return run_tests("shaper_classes", tests);
}
