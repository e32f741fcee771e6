// SPDX-License-Identifier: GPL-2.0-or-later
/* The YAML configuration: domains and their receivers. */
#include "tests/unit/config_help.h"

static void domain_refusals(void)
{
	bad(HEAD "domains:\n - {envelope: psp}\n", NAME ":4: domain 1", "`name`");
	bad(HEAD "domains:\n - {name: \"a b\"}\n", NAME ":4: \"a b\"", "domain name");
	bad(DOMAIN("profile: split"), NAME ":4: domain east", "`envelope`");
	bad(DOMAIN("envelope: psp"), NAME ":4: domain east", "`profile`");
	bad(DOMAIN("envelope: psp, profile: split"), NAME ":4: domain east", "`receivers`");
	bad(DOMAIN("envelope: psp, profile: split, keys: k"), NAME ":4: domain east", "`receivers`");
	bad(DOMAIN("envelope: esq, profile: split, keys: k"), NAME ":4: envelope: \"esq\"", "psp, esp");
	bad(DOMAIN(PSP "esp: {}, receivers: [10.0.0.1]"), NAME ":4: domain east: `esp`",
		"nothing in envelope psp");
	bad(DOMAIN(PSP "psp: {colour: red}, receivers: [10.0.0.1]"), NAME ":4: unknown key \"colour\"", "");
	bad(DOMAIN("envelope: tls, profile: split, keys: k, tls: {ports: [1]}"),
		NAME ":4: domain east: profile", "single");
	bad(DOMAIN("envelope: tls, profile: single, keys: k"), NAME ":4: domain east", "tls: {ports: [...]}");
	bad(DOMAIN("envelope: tls, profile: single, keys: k, tls: {memory: 1MiB}"), NAME ":4: domain east",
		"tls: {ports: [...]}");
	bad(DOMAIN("envelope: tls, profile: single, keys: k, tls: {ports: [443, 0]}"), NAME ":4: tls.ports",
		"65535");
	bad(DOMAIN("envelope: tls, profile: single, keys: k, tls: {ports: [443, 444, 443]}"),
		NAME ":4: domain east: tls.ports", "443");
	bad(DOMAIN("envelope: tls, profile: single, keys: k, tls: {ports: [1, 2, 3, 4, 5, 6, 7, 8, 9]}"),
		NAME, "ports");
	bad(DOMAIN("envelope: tls, profile: single, keys: k, tls: {ports: [1], memory: 1KiB}"),
		NAME ":4: domain east: tls.memory", "1MiB to 4GiB");
	bad(DOMAIN("envelope: tls, profile: single, keys: k, mkid: 1, tls: {ports: [1]}"),
		NAME ":4: domain east: mkid", "tls");
	bad(DOMAIN("envelope: tls, profile: single, suite: gcm, keys: k, tls: {ports: [1]}"),
		NAME ":4: domain east: suite", "each connection");
	bad(DOMAIN("envelope: dtls, profile: split, keys: k, receivers: [10.0.0.1]"), NAME ":4: domain east",
		"dtls: {port: ...}");
	bad(DOMAIN("envelope: dtls, profile: split, keys: k, dtls: {port: 65536}"), NAME ":4: dtls.port",
		"65535");
	bad(DOMAIN("envelope: dtls, profile: split, keys: k, dtls: {port: 4500}"),
		NAME ":4: domain east: dtls.port", "another envelope");
	bad(DOMAIN("envelope: dtls, profile: split, keys: k, suite: gcm, dtls: {port: 1}"),
		NAME ":4: domain east: suite", "AES-256-GCM");
	bad(DOMAIN("envelope: dtls, profile: split, keys: k, esn: yes, dtls: {port: 1}"),
		NAME ":4: domain east: esn", "DTLS");
	bad(DOMAIN("envelope: esp, profile: both, keys: k"), NAME ":4: profile: \"both\"", "split, single");
	bad(DOMAIN(PSP "suite: gcm, receivers: [10.0.0.1]"), NAME ":4: domain east: suite: \"gcm\"", "psp");
	bad(DOMAIN(PSP "mkid: 1, receivers: [10.0.0.1]"), NAME ":4: domain east: mkid: \"1\"", "psp");
	bad(DOMAIN(PSP "esn: yes, receivers: [10.0.0.1]"), NAME ":4: domain east: esn", "PSP");
	bad(DOMAIN(PSP "esn: perhaps, receivers: [10.0.0.1]"), NAME ":4: esn: \"perhaps\"", "yes nor no");
	bad(DOMAIN(ESP "profile: split, mkid: 1"), NAME ":4: domain east", "`suite`");
	bad(DOMAIN(ESP "profile: split, suite: gcm, mkid: 1"), NAME ":4: domain east: suite \"gcm\"",
		"single");
	bad(DOMAIN(ESP "profile: single, suite: cbc-hmac, mkid: 1"),
		NAME ":4: domain east: suite \"cbc-hmac\"", "split");
	bad(DOMAIN(ESP "profile: single, suite: gcm"), NAME ":4: domain east", "`mkid`");
	bad(DOMAIN(ESP "profile: single, suite: gcm, mkid: 65536"), NAME ":4: mkid: \"65536\"", "65535");
	bad(DOMAIN(ESP "profile: split, suite: ctr-hmca, mkid: 1"), NAME ":4: suite",
		"did you mean \"ctr-hmac\"");
	bad(HEAD EAST " - {name: east, envelope: psp, profile: split, receivers: [10.0.0.1], keys: x}\n",
		NAME ":5:", "two domains named \"east\"");
	bad(HEAD EAST " - {name: w, envelope: psp, profile: single, receivers: [192.0.2.0/24], keys: x}\n",
		NAME ":5: domain w", "already in domain east");
	bad(HEAD "domains:\n - {name: a, nmae: b}\n", NAME ":4: unknown key \"nmae\"", "\"name\"");
}

#define TSS(profile, rest)                                             \
	HEAD "domains:\n - {name: f, envelope: tss, profile: " profile \
	     ", keys: k, receivers: [10.0.0.0/8]" rest "}\n"

static void tss_domains(void)
{
	struct hk_config *config = good(TSS("single",
		", mkid: 0xffffff, tss: {mode: server, ssi: yes, protocol: 254, kdf-length: 32, iv-word: "
		"sdi, "
		"context: small, udp-aad: header, epoch: 7600, servers: [10.0.0.1, \"2001:db8::/64\"]}"));
	const struct hk_tss_options *tss;

	if (config) {
		tss = &config->domains[0].tss;
		CU_ASSERT_EQUAL(tss->mode, HK_TSS_SERVER);
		CU_ASSERT(tss->ssi && tss->long_length && tss->iv_sdi && tss->small_context &&
			  tss->header_aad && tss->has_epoch);
		CU_ASSERT_EQUAL(tss->epoch, 7600);
		CU_ASSERT_EQUAL(tss->servers_count, 2);
		CU_ASSERT_EQUAL(tss->servers[0].length, 128);
		CU_ASSERT_EQUAL(config->domains[0].carrier, 254);
		CU_ASSERT_EQUAL(config->domains[0].options, HK_TSS_OPTION_SSI);
		CU_ASSERT_EQUAL(config->domains[0].mkid, 0xffffff);
	}
	hk_config_free(config);
	config = good(TSS("split", ", tss: {mode: cluster, rekey-mask: 0xffff00000000, rekey-shift: 32}"));
	if (config) {
		tss = &config->domains[0].tss;
		CU_ASSERT_EQUAL(tss->rekey_mask, 0xffff00000000);
		CU_ASSERT_EQUAL(tss->rekey_shift, 32);
		CU_ASSERT(!tss->ssi && !tss->long_length && !tss->iv_sdi && !tss->small_context &&
			  !tss->header_aad && !tss->has_epoch);
		CU_ASSERT_EQUAL(config->domains[0].carrier, 253);
		CU_ASSERT_EQUAL(config->domains[0].options, 0);
	}
	hk_config_free(config);
}

#define INLINE(more)                                                                                         \
	"mode: passive\nports: [a]\ndomains:\n  - {name: f, envelope: inline, receivers: [10.0.0.1], keys: " \
	"k" more "\n"

static void inline_domains(void)
{
	struct hk_config *config =
		good(INLINE(", profile: split, inline: {next-header: 253, children: 9, creations: 77}}"));

	if (config) {
		CU_ASSERT_EQUAL(config->domains[0].inline_keying.next_header, 253);
		CU_ASSERT_EQUAL(config->domains[0].inline_keying.children, 9);
		CU_ASSERT_EQUAL(config->domains[0].inline_keying.creations, 77);
	}
	hk_config_free(config);
	config = good(INLINE(", profile: split}"));
	if (config) {
		CU_ASSERT_EQUAL(config->domains[0].inline_keying.next_header, 254);
		CU_ASSERT_EQUAL(config->domains[0].inline_keying.children, 256);
		CU_ASSERT_EQUAL(config->domains[0].inline_keying.creations, 65536);
	}
	hk_config_free(config);
	bad(INLINE(", profile: single}"), NAME ":4: domain f: profile", "split");
	bad(INLINE(", profile: split, suite: gcm-split}"), NAME ":4: domain f: suite", "gcm-split");
	bad(INLINE(", profile: split, mkid: 3}"), NAME ":4: domain f: mkid", "secret");
	bad(INLINE(", profile: split, esn: yes}"), NAME ":4: domain f: esn", "inline");
	bad(INLINE(", profile: split, inline: {next-header: 17}}"), NAME ":4: domain f: inline.next", "254");
	bad(INLINE(", profile: split, inline: {next-header: 256}}"), NAME ":4: inline.next-header", "255");
	bad(INLINE(", profile: split, inline: {children: 0}}"), NAME ":4: inline.children", "4096");
	bad(INLINE(", profile: split, inline: {creations: x}}"), NAME ":4: inline.creations", "number");
	bad(INLINE(", profile: split}\n  - {name: g, envelope: esp, profile: split, suite: ctr-hmac, mkid: "
		   "1, "
		   "receivers: [10.0.0.0/8], keys: k}"),
		NAME ":4: domain f: receivers: 10.0.0.1", "look alike");
}

static void tss_refusals(void)
{
	bad(TSS("split", ""), NAME ":4: domain f: has no `mode`", "cluster");
	bad(TSS("split", ", tss: {mode: claster}"), NAME ":4: mode: \"claster\"", "\"cluster\"");
	bad(TSS("split", ", tss: {mode: cluster}, suite: gcm"), NAME ":4: domain f: suite", "tss");
	bad(TSS("split", ", tss: {mode: cluster}, esn: yes"), NAME ":4: domain f: esn", "TSS");
	bad(TSS("split", ", tss: {mode: cluster}, mkid: 0x1000000"), NAME ":4: mkid", "16777215");
	bad(TSS("split", ", tss: {mode: cluster, ssi: maybe}"), NAME ":4: ssi: \"maybe\"", "no");
	bad(TSS("split", ", tss: {mode: cluster, kdf-length: 24}"), NAME ":4: kdf-length: \"24\"", "16");
	bad(TSS("split", ", tss: {mode: cluster, iv-word: ip}"), NAME ":4: iv-word: \"ip\"", "source");
	bad(TSS("split", ", tss: {mode: cluster, context: tiny}"), NAME ":4: context: \"tiny\"", "large");
	bad(TSS("split", ", tss: {mode: cluster, udp-aad: no}"), NAME ":4: udp-aad: \"no\"", "addresses");
	bad(TSS("split", ", tss: {mode: cluster, protocol: 256}"), NAME ":4: protocol: \"256\"", "255");
	bad(TSS("split", ", tss: {mode: cluster, protocol: 17}"), NAME ":4: domain f: protocol: 17", "253");
	bad(TSS("split", ", tss: {mode: cluster, protocol: 50}"), NAME ":4: domain f: protocol: 50", "253");
	bad(TSS("split", ", tss: {mode: cluster, epoch: 65536}"), NAME ":4: epoch: \"65536\"", "65535");
	bad(TSS("split", ", tss: {mode: direct, rekey-mask: 1}"), NAME ":4: domain f: rekey-mask", "cluster");
	bad(TSS("split", ", tss: {mode: cluster, rekey-mask: 0x1ffffffff}"), NAME ":4: domain f: rekey-mask",
		"32 bits");
	bad(TSS("split", ", tss: {mode: cluster, rekey-mask: 0x1000000000000}"), NAME ":4: rekey-mask", "to");
	bad(TSS("split", ", tss: {mode: cluster, rekey-mask: 3, rekey-shift: 1}"),
		NAME ":4: domain f: rekey-shift", "away");
	bad(TSS("split", ", tss: {mode: server}"), NAME ":4: domain f: has no `servers`", "client");
	bad(TSS("split", ", tss: {mode: cluster, servers: [10.0.0.1]}"), NAME ":4: domain f: servers",
		"mode");
	bad(TSS("split", ", tss: {mode: server, servers: [10.0.0.1/8]}"), NAME ":4: domain f: servers",
		"10.0.0.1/8");
	bad(TSS("split", ", tss: {mode: server, servers: [a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a]}"),
		NAME ":4:", "more than 16");
	bad(TSS("split", ", tss: {modus: cluster}"), NAME ":4: unknown key \"modus\"", "");
	bad(HEAD "domains:\n - {name: e, envelope: eesp, profile: single, keys: k, receivers: [10.0.0.0/8], "
		 "eesp: {protocol: 47}}\n",
		NAME ":4: domain e: protocol: 47", "253");
	bad(HEAD "domains:\n - {name: e, envelope: eesp, profile: single, keys: k, receivers: [10.0.0.0/8], "
		 "eesp: {protocol: 253}}\n - {name: f, envelope: tss, profile: single, keys: k, receivers: "
		 "[10.0.0.0/8], tss: {mode: cluster}}\n",
		NAME ":5: domain f: IP protocol 253", "domain e");
	bad(DOMAIN(PSP "receivers: [10.0.0.1], tss: {mode: cluster}"), NAME ":4: domain east: `tss`", "psp");
}

#define DIRECTORIES(a, b)                                                                                    \
	HEAD "domains:\n - {name: e, envelope: psp, profile: split, keys: k, receivers: [10.0.0.0/8], "      \
	     "keys-dir: " a                                                                                  \
	     "}\n - {name: f, envelope: psp, profile: split, keys: k, receivers: [10.0.0.0/9], keys-dir: " b \
	     "}\n"

static void a_directory_is_of_one_domain(void)
{
	bad(DIRECTORIES("d", "d"), NAME ":5: domain f: keys-dir: d is that of domain e",
		"directory of its own");
	bad(DIRECTORIES("d/", "d"), NAME ":5: domain f: keys-dir: d is that of domain e",
		"directory of its own");
	hk_config_free(good(DIRECTORIES("d", "d/e")));
	hk_config_free(good(DIRECTORIES("d", "dd")));
}

static void same_prefix_in_another_envelope_is_fine(void)
{
	hk_config_free(good(HEAD EAST " - {name: w, envelope: esp, profile: single, suite: gcm, mkid: 0, "
				      "receivers: [192.0.2.0/24], keys: x}\n"));
	hk_config_free(good(HEAD EAST
		" - {name: w, envelope: psp, profile: single, receivers: [192.0.2.0/25], keys: x}\n"));
}

static void receiver_refusals(void)
{
	static const char *const prefixes[] = {"192.0.2.1/24", "192.0.2.0/33", "192.0.2", "east", "\"\"",
		"10.0.0.0/8/8", "\"::ffff:10.0.0.1\"", "\"::ffff:0:0/96\"", "\"::ffff:0:0/90\"", "224.0.0.1",
		"239.0.0.0/8", "\"ff02::1\"", "\"ff00::/8\"", "127.0.0.1", "0.0.0.0/8", "\"::\"", "\"::1\"",
		"10.0.0.0/-1", "10.0.0.0/ 8", "\"10.0.0.0/\""};
	char text[256];
	unsigned i;

	for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		snprintf(text, sizeof(text), DOMAIN(PSP "receivers: [10.0.0.1, %s]"), prefixes[i]);
		bad(text, NAME ":4: domain east: receivers: \"", "");
	}
	bad(DOMAIN(PSP "receivers: [10.0.0.1, 10.0.0.2, 10.0.0.1/32]"),
		NAME ":4: domain east: receivers: 10.0.0.1", "twice");
	bad(DOMAIN(PSP "receivers: 10.0.0.1"), NAME ":4: \"receivers\" must be a list", "single");
	hk_config_free(good(
		DOMAIN(PSP "receivers: [0.0.0.0/0, \"::/0\", \"2000::/3\", \"64:ff9b::1\", \"fc00::/7\"]")));
}

static void many_receivers(void)
{
	static char text[4u << 20];
	size_t used = (size_t)sprintf(text, HEAD "domains:\n - {name: d, " PSP "receivers: [");
	struct hk_config *config;
	unsigned i;

	for (i = 0; i < 65536; i++)
		used += (size_t)sprintf(text + used, "%s10.%u.%u.0/24", i ? ", " : "", i >> 8, i & 255);
	strcpy(text + used, "]}\n");
	config = good(text);
	CU_ASSERT(config && config->domains[0].receivers_count == 65536);
	hk_config_free(config);
	strcpy(text + used, ", 11.0.0.0/24]}\n");
	bad(text, NAME ":4: \"receivers\"", "65536");
}

int main(void)
{
	static const struct test tests[] = {
		{"domains: refusals", domain_refusals},
		{"domains: TSS", tss_domains},
		{"domains of inline keying", inline_domains},
		{"domains: TSS, refusals", tss_refusals},
		{"domains: one prefix under two envelopes", same_prefix_in_another_envelope_is_fine},
		{"receivers: refusals", receiver_refusals},
		{"65536 receivers, and one more", many_receivers},
		{"a directory of key files is of one domain", a_directory_is_of_one_domain},
		{0},
	};

	return run_tests("config domains", tests);
}
