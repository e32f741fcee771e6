// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests that change keys over the control socket: what reaches the inspector, and what is refused before.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/harness.h"
#include "user/control/answer.h"

static unsigned changes;
static struct hk_view_keys changed;
static char changed_domain[32];
static int outcome;

static int change(
	void *context, const struct hk_view_keys *keys, struct hk_key_result *result, struct hk_error *error)
{
	(void)context, (void)error;
	changes++;
	changed = *keys;
	snprintf(changed_domain, sizeof(changed_domain), "%s", keys->domain);
	*result = (struct hk_key_result){.added = 1, .known = 2, .retired = 3, .graced = 4};
	return outcome;
}

static const struct hk_view view = {.keys_change = change};

/* The answer, parsed; NULL: it is none. */
static json_t *ask(const char *request, int fd)
{
	char *text = hk_control_answer(&view, request, strlen(request), fd);
	json_t *answer = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;

	CU_ASSERT_PTR_NOT_NULL(answer);
	free(text);
	return answer;
}

#define CHANGE "{\"command\": \"keys-change\""

static void refusals(void)
{
	static const struct {
		const char *request, *says;
		int fd;
	} rows[] = {
		{CHANGE ", \"domain\": \"east\"}", "come in a descriptor", -1},
		{CHANGE "}", "\"domain\" is missing or not a text", 0},
		{CHANGE ", \"domain\": 7}", "\"domain\" is missing or not a text", 5},
		{CHANGE ", \"domain\": \"east\", \"grace\": -1}", "\"grace\" is not a whole number", 5},
		{CHANGE ", \"domain\": \"east\", \"grace\": 31622401}", "from 0 to 31622400", 5},
		{CHANGE ", \"domain\": \"east\", \"grace\": \"5\"}", "\"grace\" is not a whole number", 5},
		{CHANGE ", \"domain\": \"east\", \"grace\": null}", "\"grace\" is not a whole number", 5},
		{"{\"command\": \"keys-chang\", \"domain\": \"east\"}", "did you mean \"keys-change\"", 5},
		{"[]", "a request is a JSON object", 5},
	};
	json_t *answer;
	unsigned i;

	changes = 0;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *sentence;

		answer = ask(rows[i].request, rows[i].fd);
		CU_ASSERT_TRUE(json_is_false(json_object_get(answer, "ok")));
		sentence = json_string_value(json_object_get(answer, "error"));
		CU_ASSERT_PTR_NOT_NULL(sentence ? strstr(sentence, rows[i].says) : NULL);
		json_decref(answer);
	}
	CU_ASSERT_EQUAL(changes, 0);
}

static void changes_arrive(void)
{
	json_t *answer, *result;

	changes = 0;
	outcome = 0;
	answer = ask(CHANGE ", \"domain\": \"east\"}", 0); /* 0 is a descriptor like any */
	CU_ASSERT_TRUE(json_is_true(json_object_get(answer, "ok")));
	result = json_object_get(answer, "result");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(result, "added")), 1);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(result, "known")), 2);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(result, "retired")), 3);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(result, "graced")), 4);
	json_decref(answer);
	CU_ASSERT_EQUAL(changes, 1);
	CU_ASSERT_STRING_EQUAL(changed_domain, "east");
	CU_ASSERT(changed.fd == 0 && !changed.rotate && changed.grace_s == 0);
	json_decref(ask(CHANGE ", \"domain\": \"west\", \"rotate\": true, \"grace\": 31622400}", 9));
	CU_ASSERT_EQUAL(changes, 2);
	CU_ASSERT_STRING_EQUAL(changed_domain, "west");
	CU_ASSERT(changed.fd == 9 && changed.rotate && changed.grace_s == 31622400);
	outcome = -EBUSY;
	answer = ask(CHANGE ", \"domain\": \"east\"}", 9);
	CU_ASSERT_TRUE(json_is_false(json_object_get(answer, "ok")));
	CU_ASSERT_PTR_NOT_NULL(json_object_get(answer, "error"));
	json_decref(answer);
}

int main(void)
{
	static const struct test tests[] = {
		{"a change of keys that is not whole reaches nobody", refusals},
		{"a change of keys arrives as it was asked for", changes_arrive},
		{0},
	};

	return run_tests("answer", tests);
}
