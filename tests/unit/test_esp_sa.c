// SPDX-License-Identifier: GPL-2.0-or-later
/* Wireshark's esp_sa tables: what they say becomes key lines, and each way in which a row is none. */
#include "tests/unit/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/keys/esp_sa.h"

#define KEY(n) "00112233445566778899aabbccddee" n "00112233445566778899aabbccddee" n
#define ROW(cipher, key, mac)                                                                     \
	"\"IPv4\",\"192.0.2.9\",\"192.0.2.1\",\"0x00001000\",\"" cipher "\",\"0x" key "\",\"" mac \
	"\",\"0x" KEY("77") "\"\n"
#define HMAC256 "HMAC-SHA-256-128 [RFC4868]"

static void esp_sa_tables(void)
{
	static const struct {
		const char *row, *says;
	} bad[] = {
		{ROW("NULL", KEY("01"), HMAC256), "t:2: \"NULL\" cannot be opened"},
		{ROW("AES-CTR [RFC3686]", KEY("01"), HMAC256), "t:2: the encryption key must be"},
		{ROW("AES-CBC [RFC3602]", KEY("01"), "HMAC-SHA-1-96 [RFC2404]"), "t:2: \"HMAC-SHA-1-96"},
		{"\"IPv4\",\"*\",\"*\",\"0x00001000\",\"AES-CBC [RFC3602]\",\"0x" KEY("01") "\",\"" HMAC256
											    "\",\"\"",
			"t:2: the destination \"*\""},
		{"\"IPv6\",\"*\",\"192.0.2.1\",\"1\",\"AES-CBC [RFC3602]\",\"0x" KEY("01") "\",\"" HMAC256
											   "\",\"\"",
			"t:2: the protocol"},
		{"\"IPv4\",\"*\",\"192.0.2.1\",\"*\",\"AES-CBC [RFC3602]\",\"0x" KEY("01") "\",\"" HMAC256
											   "\",\"\"",
			"t:2: the SPI \"*\""},
		{"\"IPv4\",\"192.0.2.9\"", "t:2: ends before"},
		{"\"IPv4", "t:2: is no row"},
		{"IPv4", "t:2: is no row"},
		{ROW("AES-CBC [RFC3602]", KEY("01"), HMAC256 "\" \""),
			"t:2: has something other than a comma"},
		{ROW("AES-CBC [RFC3602]", KEY("01"), HMAC256 "\",\"1\",\"2"), "t:2: is no row"}, /* ten */
		{ROW("AES-GCM", KEY("01") "0a0b0c0d", HMAC256), "t:2: \"AES-GCM\" cannot be opened"},
		{ROW("AES-CBC [RFC3602]", KEY("01") "0a0b0c0d", HMAC256), "t:2: the encryption key must be"},
		{ROW("AES-CTR [RFC3686]", KEY("01") "0a0b0c", HMAC256), "t:2: the encryption key must be"},
		{ROW("AES-CTR [RFC3686]", KEY("01") "0a0b0c0d0e", HMAC256),
			"t:2: the encryption key must be"},
		{ROW("AES-CTR [RFC3686]", KEY("01") "0a0b0c0g", HMAC256), "t:2: the encryption key must be"},
		{"\"IPv4\",\"*\",\"192.0.2.1\",\"1\",\"AES-CBC [RFC3602]\",\"" KEY("01") "00\",\"" HMAC256
											 "\",\"\"",
			"t:2: the encryption key must be 0x"},
		{"\"IPv4\",\"*\",\"192.0.2.1\",\"0x100000000\",\"AES-CBC [RFC3602]\",\"0x" KEY(
			 "01") "\",\"" HMAC256 "\",\"\"",
			"t:2: the SPI \"0x100000000\""},
		{"\"IPv4\",\"*\",\"2001:db8::1\",\"1\",\"AES-CBC [RFC3602]\",\"0x" KEY("01") "\",\"" HMAC256
											     "\",\"\"",
			"t:2: the protocol"},
	};
	struct hk_error error = {{0}};
	struct hk_esp_sa table;
	char text[1024];
	unsigned i;

	CU_ASSERT_EQUAL_FATAL(hk_esp_sa_read(&table, "t",
				      "# made by Wireshark\n" ROW("AES-CTR [RFC3686]", KEY("01") "0a0b0c0d",
					      HMAC256) ROW("AES-CBC [RFC3602]", KEY("02"), HMAC256)
					      ROW("AES-GCM [RFC4106]", KEY("03") "01020304", "NULL"),
				      HK_SUITE_GCM_SPLIT, &error),
		0);
	CU_ASSERT_EQUAL(table.rows, 3);
	CU_ASSERT_EQUAL(table.dropped, 3);
	CU_ASSERT_STRING_EQUAL(table.lines,
		"receiver=192.0.2.1 spi=0x00001000 suite=ctr-hmac side=enc key=" KEY(
			"01") " salt=0a0b0c0d\n"
			      "receiver=192.0.2.1 spi=0x00001000 suite=cbc-hmac side=enc key=" KEY(
				      "02") "\n"
					    "receiver=192.0.2.1 spi=0x00001000 suite=gcm-split side=enc "
					    "key=" KEY("03") " salt=01020304\n");
	CU_ASSERT_PTR_NULL(strstr(table.lines, "ee77")); /* no authentication key */
	hk_esp_sa_free(&table);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&error, 0, sizeof(error));
		snprintf(text, sizeof(text), "\n%s", bad[i].row);
		CU_ASSERT_TRUE(hk_esp_sa_read(&table, "t", text, HK_SUITE_GCM, &error) < 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, bad[i].says));
		CU_ASSERT_PTR_NULL(strstr(error.text, "8899aabb"));
		if (!strstr(error.text, bad[i].says))
			printf("# wanted '%s', said: %s\n", bad[i].says, error.text);
	}
}

/* Text of `size` bytes in a row: a source that nobody looks at. */
static const char *padded_row(size_t size)
{
	static const char *const front = "\"IPv4\",\"", *const rest =
								"\",\"192.0.2.1\",\"1\",\"AES-CBC "
								"[RFC3602]\",\"0x" KEY("01") "\",\"" HMAC256
											     "\",\"\"";
	static char text[2048];

	snprintf(text, sizeof(text), "%s%*s%s", front, (int)(size - strlen(front) - strlen(rest)), "x", rest);
	CU_ASSERT_EQUAL(strlen(text), size);
	return text;
}

static int read_table(struct hk_esp_sa *table, const char *text, struct hk_error *error)
{
	*error = (struct hk_error){""};
	return hk_esp_sa_read(table, "t", text, HK_SUITE_GCM, error);
}

static void how_long_a_text_may_be(void)
{
	struct hk_esp_sa table;
	struct hk_error error;
	char text[2048];
	size_t size = strlen(strchr(padded_row(300) + 8, '"')) + 8; /* all but the source */

	CU_ASSERT_EQUAL(read_table(&table, padded_row(size + 159), &error), 0);
	CU_ASSERT_EQUAL(table.rows, 1);
	hk_esp_sa_free(&table);
	CU_ASSERT_TRUE(read_table(&table, padded_row(size + 160), &error) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "t:1: is no row"));
	/* blanks behind a row are part of the line, and of nothing else */
	snprintf(text, sizeof(text), "%-1023s\n", padded_row(300));
	CU_ASSERT_EQUAL(read_table(&table, text, &error), 0);
	CU_ASSERT_EQUAL(table.rows, 1);
	hk_esp_sa_free(&table);
	snprintf(text, sizeof(text), "%-1024s\n", padded_row(300));
	CU_ASSERT_TRUE(read_table(&table, text, &error) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "t:1: the line is longer than 1023 bytes"));
	CU_ASSERT_PTR_NULL(table.lines); /* nothing of a table that was refused */
	CU_ASSERT_EQUAL(table.size, 0);
}

/* Line ends of another system, comments, a ninth text, no end of the last line. */
static void what_rows_may_look_like(void)
{
	static const struct {
		const char *text, *line;
		unsigned dropped;
	} rows[] = {
		{"\"IPv6\",\"*\",\"2001:db8::1\",\"0xffffffff\",\"AES-GCM with 16 octet ICV "
		 "[RFC4106]\",\"0x" KEY("0A") "01020304\",\"whatever\",\"\"\r\n",
			"receiver=2001:db8::1 spi=0xffffffff suite=gcm side=single key=" KEY(
				"0A") " salt=01020304\n",
			0},
		{"\r\n  \t\n#\"IPv4\"\n\"IPv4\",\"*\",\"192.0.2.1\",\"4096\",\"AES-CBC [RFC3602]\",\"0x" KEY(
			 "01") "\",\"ANY 128 bit authentication [no checking]\",\"0x\" \t",
			"receiver=192.0.2.1 spi=0x00001000 suite=cbc-hmac side=enc key=" KEY("01") "\n", 0},
		{"\"IPv4\",\"*\",\"192.0.2.1\",\"4096\",\"AES-CBC [RFC3602]\",\"0x" KEY(
			 "01") "\",\"ANY 128 bit of authentication [no checking]\",\"0x77\",\"32-bit\"",
			"receiver=192.0.2.1 spi=0x00001000 suite=cbc-hmac side=enc key=" KEY("01") "\n", 1},
		{"", "", 0},
		{"# nothing", "", 0},
	};
	struct hk_esp_sa table;
	struct hk_error error;
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(read_table(&table, rows[i].text, &error), 0);
		CU_ASSERT_STRING_EQUAL(table.lines, rows[i].line);
		CU_ASSERT_EQUAL(table.rows, rows[i].line[0] != '\0');
		CU_ASSERT_EQUAL(table.dropped, rows[i].dropped);
		hk_esp_sa_free(&table);
		CU_ASSERT_PTR_NULL(table.lines);
	}
}

/* As many rows as there are lines, and all as long as they can be; the last one names its own number. */
static void many_rows(void)
{
	enum { ROWS = 500 };
	struct hk_error error;
	struct hk_esp_sa table;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	unsigned i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	for (i = 0; i < ROWS; i++)
		fprintf(out,
			"%s\"IPv6\",\"*\",\"2001:db8:1111:2222:3333:4444:5555:%x\",\"%u\",\"AES-CTR "
			"[RFC3686]\",\"0x" KEY("01") "0a0b0c0d\",\"" HMAC256 "\",\"0x77\"",
			i ? "\n" : "", i + 1, i + 256);
	fclose(out);
	CU_ASSERT_EQUAL_FATAL(read_table(&table, text, &error), 0);
	CU_ASSERT_EQUAL(table.rows, ROWS);
	CU_ASSERT_EQUAL(table.dropped, ROWS);
	CU_ASSERT_EQUAL(table.size, strlen(table.lines));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(table.lines, "receiver=2001:db8:1111:2222:3333:4444:5555:1f4 spi=0x000002f3"));
	hk_esp_sa_free(&table);
	text[size - 1] = 'x';
	CU_ASSERT_TRUE(read_table(&table, text, &error) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "t:500: "));
	free(text);
}

int main(void)
{
	static const struct test tests[] = {
		{"rows become key lines, or say why not", esp_sa_tables},
		{"how long a text may be", how_long_a_text_may_be},
		{"what rows may look like", what_rows_may_look_like},
		{"many rows", many_rows},
		{0},
	};
	return run_tests("esp_sa", tests);
}
