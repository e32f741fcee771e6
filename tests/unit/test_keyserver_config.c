// SPDX-License-Identifier: GPL-2.0-or-later
/* The key server's configuration: what it means, and one sentence for each thing that is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/harness.h"
#include "user/endpoint/keyserver.h"

#define FILES	      "state: s\nca: a.pem\ncert: c.pem\nkey: k.pem\n"
#define HOSTS	      "    hosts:\n      - {name: a, address: 192.0.2.1}\n      - {name: b, address: 192.0.2.9}\n"
#define DOMAIN(lines) FILES "domains:\n  - name: d\n" lines HOSTS

static struct hk_error error;

static int read_text(struct hk_ks_config **out, const char *text)
{
	char path[] = "/tmp/halfkey-unit-ksc.XXXXXX";
	int fd = mkstemp(path), status;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	memset(&error, 0, sizeof(error));
	*out = NULL;
	status = hk_ks_config_read(out, path, &error);
	if (status)
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, path)); /* names the file */
	unlink(path);
	return status;
}

static void defaults(void)
{
	struct hk_ks_config *config;
	const struct hk_ks_domain *domain;

	CU_ASSERT_EQUAL_FATAL(read_text(&config, DOMAIN("")), 0);
	domain = &config->domains[0];
	CU_ASSERT_EQUAL(domain->envelope, HK_ENVELOPE_PSP);
	CU_ASSERT_EQUAL(domain->profile, HK_PROFILE_SPLIT);
	CU_ASSERT_EQUAL(domain->variant, HK_PSP_SPLIT_256);
	CU_ASSERT_EQUAL(domain->lifetime, 86400);
	CU_ASSERT(domain->ahead + domain->grace < domain->lifetime);
	CU_ASSERT_EQUAL(domain->delegation, 86400);
	CU_ASSERT_STRING_EQUAL(config->state, "/tmp/s"); /* beside the file */
	hk_ks_config_free(config);
}

static void values(void)
{
	struct hk_ks_config *config;
	const struct hk_ks_domain *domain;

	CU_ASSERT_EQUAL_FATAL(
		read_text(&config,
			DOMAIN("    envelope: esp\n    suite: cbc-hmac\n    mkid: 7\n    lifetime: 2d\n"
			       "    ahead: 90s\n    grace: 10m\n    delegation: unlimited\n")),
		0);
	domain = &config->domains[0];
	CU_ASSERT_EQUAL(domain->envelope, HK_ENVELOPE_ESP);
	CU_ASSERT_EQUAL(domain->variant, HK_SUITE_CBC_HMAC);
	CU_ASSERT_EQUAL(domain->mkid, 7);
	CU_ASSERT_EQUAL(domain->lifetime, 2 * 86400);
	CU_ASSERT_EQUAL(domain->ahead, 90);
	CU_ASSERT_EQUAL(domain->grace, 600);
	CU_ASSERT_EQUAL(domain->delegation, HK_KS_UNLIMITED);
	hk_ks_config_free(config);
	CU_ASSERT_EQUAL_FATAL(read_text(&config, DOMAIN("    delegation: 0s\n")), 0);
	CU_ASSERT_EQUAL(config->domains[0].delegation, 0);
	hk_ks_config_free(config);
}

static void refusals(void)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"", "not a key server's configuration"},
		{"domains: []\n", ":1: \"domains\" is empty"},
		{FILES, "`domains` is missing"},
		{"- a\n", "must be a mapping of keys to values at its top level, not a list"},
		{"state: a\nlisen: here\n", ":2: unknown key \"lisen\": did you mean \"listen\"?"},
		{"state: a\nstate: b\n", "the key \"state\" stands here twice"},
		{"state: ''\n", ":1: the value of \"state\" is empty"},
		{"state: &a b\nca: *a\n", ":2: aliases"},
		{"state: [a, b\n", "did not find expected"},
		{DOMAIN("    nonsense: 1\n"), "nonsense"},
		{DOMAIN("    envelope: tls\n"), "must be psp, esp, eesp or wesp"},
		{DOMAIN("    envelope: inline\n"), "halfkey-endpoint keygen"},
		{DOMAIN("    envelope: eesp\n    suite: gcm\n"), "suite: means nothing in eesp"},
		{DOMAIN("    envelope: wesp\n    version: 5\n"), "version: means nothing in wesp"},
		{DOMAIN("    envelope: eesp\n    mkid: 7\n"), "mkid: means nothing in eesp"},
		{FILES "domains:\n  - name: d\n    envelope: wesp\n    hosts: [{name: a, address: "
		       "192.0.2.1}]\n",
			"has 1 hosts: wesp has keys for each two of them"},
		{DOMAIN("    profile: both\n"), "must be split or single"},
		{DOMAIN("    suite: gcm\n"), "PSP has a version"},
		{DOMAIN("    version: 0\n"), "not of profile split"},
		{DOMAIN("    profile: single\n    version: 5\n"), "not of profile single"},
		{DOMAIN("    envelope: esp\n    suite: gcm\n"), "not of profile split"},
		{DOMAIN("    envelope: esp\n    suite: rot13\n"), "not of profile split"},
		{DOMAIN("    envelope: esp\n    mkid: 65536\n"), "from 0 to 65535"},
		{DOMAIN("    lifetime: 4s\n"), "from 5s to 30d"},
		{DOMAIN("    lifetime: 31d\n"), "from 5s to 30d"},
		{DOMAIN("    lifetime: 99999999999999999999\n"), "must be a time"},
		{DOMAIN("    lifetime: -5s\n"), "must be a time"},
		{DOMAIN("    lifetime: 100w\n"), "must be a time"},
		{DOMAIN("    lifetime: 10hd\n"), "must be a time"},
		{DOMAIN("    lifetime: h\n"), "must be a time"},
		{DOMAIN("    lifetime: 1h\n    ahead: 30m\n    grace: 30m\n"), "longer than ahead and grace"},
		{DOMAIN("    delegation: forever\n"), "delegation 'forever'"},
		{FILES "domains:\n  - name: 'd e'\n" HOSTS, "domain 'd e'"},
		{FILES "domains:\n  - name: d\n" HOSTS "  - name: d\n" HOSTS, "stands twice"},
		{FILES "domains:\n  - name: d\n    hosts: [{name: a, address: here}]\n",
			"must be IPv4 or IPv6"},
		{FILES "domains:\n  - name: d\n    hosts: [{name: a, address: 192.0.2.1}, {name: a, address: "
		       "192.0.2.2}]\n",
			"stands twice in domain"},
		{FILES "domains:\n  - name: d\n    hosts: [{name: a, address: 192.0.2.1}, {name: b, address: "
		       "192.0.2.1}]\n",
			"stands twice in domain"},
		{DOMAIN("    boxes: ['b/x']\n"), "box 'b/x'"},
		{DOMAIN("    readers: [12345678901234567890123456789012]\n"), "up to 31 letters"},
	};
	struct hk_ks_config *config;
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT(read_text(&config, rows[i].text) < 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, rows[i].says));
		if (!strstr(error.text, rows[i].says))
			fprintf(stderr, "row %u: %s\n", i, error.text);
	}
}

int main(void)
{
	static const struct test tests[] = {
		{"defaults", defaults},
		{"values", values},
		{"each thing that is wrong has its sentence", refusals},
		{0},
	};

	return run_tests("keyserver_config", tests);
}
