// SPDX-License-Identifier: GPL-2.0-or-later
/* The YAML configuration: every key, every refusal's sentence, hostile input. */
#include "tests/unit/harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/control/config.h"

#define NAME "box.yaml"

static struct hk_config *parse(
	const char *text, enum hk_config_use use, const struct hk_config *previous, struct hk_error *error)
{
	struct hk_config *config = NULL;

	error->text[0] = '\0';
	hk_config_parse(&config, NAME, text, strlen(text), use, previous, error);
	return config;
}

/* Parses what must be fine; prints the sentence when it is not. */
static struct hk_config *good(const char *text)
{
	struct hk_error error;
	struct hk_config *config = parse(text, HK_CONFIG_DAEMON, NULL, &error);

	if (!config)
		printf("# refused: %s\n", error.text);
	CU_ASSERT_PTR_NOT_NULL(config);
	return config;
}

/* Parses what must be refused with a sentence that holds both pieces. */
static void bad_as(enum hk_config_use use, const char *text, const char *start, const char *piece)
{
	struct hk_error error;
	struct hk_config *config = parse(text, use, NULL, &error);
	bool as_expected =
		!config && strncmp(error.text, start, strlen(start)) == 0 && strstr(error.text, piece);

	if (!as_expected)
		printf("# wanted \"%s ... %s\", got \"%s\"\n", start, piece, error.text);
	CU_ASSERT(as_expected);
	hk_config_free(config);
}

static void bad(const char *text, const char *start, const char *piece)
{
	bad_as(HK_CONFIG_DAEMON, text, start, piece);
}

#define HEAD "mode: inline\nports: [a, b]\n"
#define EAST                                                                                         \
	"domains:\n - {name: east, envelope: psp, profile: split, receivers: [192.0.2.0/24], keys: " \
	"e.keys}\n"
#define WEST                                                                                   \
	" - {name: west, envelope: esp, profile: split, suite: ctr-hmac, mkid: 1, receivers: " \
	"[198.51.100.0/24], keys: w.keys}\n"

static void full_example(void)
{
	struct hk_config *config = good(
		"instance: lab-1\nmode: inline\nports: [box-c, box-s]\nattach: native\nqueues: 2\nuser: "
		"halfkey\n"
		"control: /run/x.sock\ncrypto: libcrypto\nseccomp: log\nheartbeat-ms: 500\nframes: "
		"4096\nkeys-max: 128\n"
		"flows-max: 0x100\n"
		"policy: {legacy: drop, control: pass, no-key: drop, stale-key: pass, bad-icv: drop}\n" EAST
			WEST " - {name: n, envelope: esp, profile: single, suite: gcm, mkid: 0x10, esn: yes, "
		"flow-per-spi: on,"
		" receivers: [\"2001:db8::/32\", 203.0.113.7], keys: n.keys}\n"
		"hooks:\n - {use: firewall, rules: f.yaml}\n - {use: ./own.so, settings: o}\n - {use: "
		"shaper, classes: s}\n"
		" - {use: plain}\n"
		"feeds:\n  eve: {path: /var/log/eve.json, stats-interval: 0}\n  mirror: {tap: insp0}\n"
		"  pcapng: {path: o.pcapng, max-bytes: 64 MiB}\n");

	if (!config)
		return;
	CU_ASSERT_STRING_EQUAL(config->instance, "lab-1");
	CU_ASSERT_EQUAL(config->mode, HK_MODE_INLINE);
	CU_ASSERT_EQUAL(config->attach, HK_ATTACH_NATIVE);
	CU_ASSERT_EQUAL(config->ports_count, 2);
	CU_ASSERT_STRING_EQUAL(config->ports[1], "box-s");
	CU_ASSERT_EQUAL(config->queues, 2);
	CU_ASSERT_STRING_EQUAL(config->user, "halfkey");
	CU_ASSERT_STRING_EQUAL(config->control, "/run/x.sock");
	CU_ASSERT_STRING_EQUAL(config->crypto, "libcrypto");
	CU_ASSERT_EQUAL(config->seccomp, HK_SECCOMP_LOG);
	CU_ASSERT_EQUAL(config->heartbeat_ms, 500);
	CU_ASSERT_EQUAL(config->frames, 4096);
	CU_ASSERT_EQUAL(config->keys_max, 128);
	CU_ASSERT_EQUAL(config->flows_max, 256);
	CU_ASSERT_EQUAL(config->domains_count, 3);
	CU_ASSERT_EQUAL(config->domains[1].suite, HK_SUITE_CTR_HMAC);
	CU_ASSERT_EQUAL(config->domains[1].envelope, HK_ENVELOPE_ESP);
	CU_ASSERT_EQUAL(config->domains[1].profile, HK_PROFILE_SPLIT);
	CU_ASSERT_EQUAL(config->domains[2].mkid, 16);
	CU_ASSERT(config->domains[2].esn && config->domains[2].flow_per_spi && !config->domains[0].esn);
	CU_ASSERT_EQUAL(config->domains[2].receivers_count, 2);
	CU_ASSERT_EQUAL(config->domains[2].receivers[0].length, 32);
	CU_ASSERT_EQUAL(config->domains[2].receivers[1].length, 128);
	CU_ASSERT_STRING_EQUAL(config->domains[2].keys, "n.keys");
	CU_ASSERT_EQUAL(config->hooks_count, 4);
	CU_ASSERT_STRING_EQUAL(config->hooks[0].settings, "f.yaml");
	CU_ASSERT_STRING_EQUAL(config->hooks[1].use, "./own.so");
	CU_ASSERT_STRING_EQUAL(config->hooks[2].settings, "s");
	CU_ASSERT_PTR_NULL(config->hooks[3].settings);
	CU_ASSERT_STRING_EQUAL(config->feeds.eve_path, "/var/log/eve.json");
	CU_ASSERT_EQUAL(config->feeds.stats_interval_s, 0);
	CU_ASSERT_STRING_EQUAL(config->feeds.mirror_tap, "insp0");
	CU_ASSERT_EQUAL(config->feeds.pcapng_max_bytes, 64u << 20);
	hk_config_free(config);
}

static void defaults(void)
{
	struct hk_config *config = good("ports: [a, b]\n");

	if (!config)
		return;
	CU_ASSERT_STRING_EQUAL(config->instance, "default");
	CU_ASSERT_STRING_EQUAL(config->control, "/run/halfkey/default.sock");
	CU_ASSERT_STRING_EQUAL(config->user, "nobody");
	CU_ASSERT_EQUAL(config->mode, HK_MODE_INLINE);
	CU_ASSERT_EQUAL(config->queues, 0);
	CU_ASSERT_EQUAL(config->seccomp, HK_SECCOMP_ON);
	CU_ASSERT_EQUAL(config->heartbeat_ms, 200);
	CU_ASSERT_EQUAL(config->frames, 8192);
	CU_ASSERT_PTR_NULL(config->crypto);
	CU_ASSERT_PTR_NULL(config->feeds.eve_path);
	CU_ASSERT_EQUAL(config->feeds.stats_interval_s, 10);
	CU_ASSERT_EQUAL(config->feeds.pcapng_max_bytes, 1u << 30);
	hk_config_free(config);
}

static void policy_defaults_follow_classes(void)
{
	struct hk_config *config = good("ports: [a, b]\n");
	unsigned reason;

	if (!config)
		return;
	for (reason = 0; reason < HK_REASON_COUNT; reason++)
		if (hk_reason_name(reason) && hk_reason_policy(reason) != HK_POLICY_NONE)
			CU_ASSERT_EQUAL(config->policy[reason], hk_policy_default(hk_reason_policy(reason)));
	CU_ASSERT_EQUAL(config->policy[HK_REASON_OK], HK_ACTION_PASS);
	CU_ASSERT_EQUAL(config->policy[HK_REASON_HOOK_DROP], HK_ACTION_DROP);
	CU_ASSERT_EQUAL(config->policy[HK_REASON_VERDICT_DROP], HK_ACTION_DROP);
	hk_config_free(config);
}

/* Each class and each reason that is a refusal is a key, in both values. */
static void every_policy_key(void)
{
	struct hk_config *config;
	char text[128];
	unsigned i, drop;

	for (drop = 0; drop < 2; drop++)
		for (i = 0; i < HK_REASON_COUNT; i++) {
			if (!hk_reason_name(i) || hk_reason_policy(i) == HK_POLICY_NONE)
				continue;
			snprintf(text, sizeof(text), HEAD "policy: {%s: %s}\n", hk_reason_name(i),
				drop ? "drop" : "pass");
			config = good(text);
			CU_ASSERT_EQUAL(config->policy[i], drop);
			hk_config_free(config);
		}
	for (i = HK_POLICY_NONE + 1; i < HK_POLICY_COUNT; i++) {
		snprintf(text, sizeof(text), HEAD "policy: {%s: pass}\n", hk_policy_name(i));
		hk_config_free(good(text));
	}
}

static void reason_overrides_class(void)
{
	struct hk_config *config = good(HEAD "policy:\n  stale-key: pass\n  no-key: drop\n  psp-spi: pass\n");

	if (!config)
		return;
	CU_ASSERT_EQUAL(config->policy[HK_REASON_NO_KEY], HK_ACTION_DROP);
	CU_ASSERT_EQUAL(config->policy[HK_REASON_STALE_KEY], HK_ACTION_PASS);
	CU_ASSERT_EQUAL(config->policy[HK_REASON_PSP_SPI], HK_ACTION_PASS);
	CU_ASSERT_EQUAL(config->policy[HK_REASON_PSP_SHORT], HK_ACTION_DROP);
	hk_config_free(config);
}

static void policy_refusals(void)
{
	bad(HEAD "policy: {legacy: accept}\n", NAME ":3: policy: legacy: \"accept\"", "pass, drop");
	bad(HEAD "policy:\n  bad-icv: dorp\n", NAME ":4: policy: bad-icv: \"dorp\"", "did you mean \"drop\"");
	bad(HEAD "policy: {legcy: pass}\n", NAME ":3: unknown key \"legcy\"", "\"legacy\"");
	bad(HEAD "policy: {hook-drop: pass}\n", NAME ":3:", "no policy applies");
	bad(HEAD "policy: {ok: drop}\n", NAME ":3:", "no policy applies");
	bad(HEAD "policy: {none: drop}\n", NAME ":3:", "\"none\"");
	bad(HEAD "policy: [legacy]\n", NAME ":3: \"policy\" must be a mapping", "not a list");
	bad(HEAD "policy: {legacy: pass, legacy: drop}\n", NAME ":3: the key \"legacy\"", "twice");
}

static void top_level_refusals(void)
{
	bad("mode: inlin\nports: [a, b]\n", NAME ":1: mode: \"inlin\"", "did you mean \"inline\"");
	bad("mode: both\nports: [a, b]\n", NAME ":1: mode: \"both\"", "inline, monitor, passive");
	bad("mode: [inline]\n", NAME ":1: \"mode\" must be a single value", "not a list");
	bad("prots: [a, b]\n", NAME ":1: unknown key \"prots\"", "\"ports\"");
	bad("ports: [a, b]\nsuite: gcm\n", NAME ":2: the key \"suite\"", "does not belong here");
	bad(HEAD "attach: fast\n", NAME ":3: attach: \"fast\"", "auto, native, generic");
	bad(HEAD "instance: ../x\n", NAME ":3: instance: \"../x\"", "letters");
	bad(HEAD "instance: \"\"\n", NAME ":3: instance: \"\"", "letters");
	bad(HEAD "instance: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", NAME ":3:", "32");
	bad(HEAD "user: \"\"\n", NAME ":3: user", "no value");
	bad(HEAD "user: \"a\\eb\"\n", NAME ":3: user: \"a?b\"", "control character");
	bad(HEAD "control: halfkey.sock\n", NAME ":3: control: \"halfkey.sock\"", "absolute");
	bad(HEAD
		"control: "
		"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaa\n",
		NAME ":3: control", "107");
	bad(HEAD "crypto: rot13\n", NAME ":3: crypto: \"rot13\"", "libcrypto");
	bad("", NAME ": is empty", "ports");
	bad("# nothing\n", NAME ": is empty", "ports");
	bad("- a\n- b\n", NAME ": must be a mapping", "not a list");
	bad("hello\n", NAME ": must be a mapping", "single value");
}

static void number_refusals(void)
{
	bad(HEAD "queues: 0\n", NAME ":3: queues: \"0\"", "from 1 to 64");
	bad(HEAD "queues: 65\n", NAME ":3: queues: \"65\"", "from 1 to 64");
	bad(HEAD "queues: two\n", NAME ":3: queues: \"two\"", "not a number");
	bad(HEAD "queues: -1\n", NAME ":3: queues: \"-1\"", "not a number");
	bad(HEAD "queues: 99999999999999999999999999\n", NAME ":3: queues", "not a number");
	bad(HEAD "seccomp: strict\n", NAME ":3: seccomp: \"strict\"", "on, log, off");
	bad(HEAD "heartbeat-ms: 5\n", NAME ":3: heartbeat-ms: \"5\"", "from 10");
	bad(HEAD "frames: 5000\n", NAME ":3: frames: \"5000\"", "power of two");
	bad(HEAD "frames: 512\n", NAME ":3: frames: \"512\"", "from 1024");
	bad(HEAD "keys-max: 4294967296\n", NAME ":3: keys-max", "number");
	bad(HEAD "flows-max: 1.5\n", NAME ":3: flows-max: \"1.5\"", "number");
}

static void port_refusals(void)
{
	bad("mode: inline\n", NAME ": has no `ports`", "");
	bad("mode: inline\nports: []\n", NAME ":2: has no `ports`", "");
	bad("mode: inline\nports: [a]\n", NAME ":2: ports: mode inline", "1 is named");
	bad("mode: monitor\nports: [a]\n", NAME ":2: ports: mode monitor", "two");
	bad("mode: inline\nports: [a, b, c]\n", NAME ":2: ports", "3 are named");
	bad("mode: passive\nports: [a, b, c]\n", NAME ":2: ports", "not 3");
	bad("ports: [a, a]\n", NAME ":1: ports: \"a\"", "twice");
	bad("ports: [a, averylonginterfacename]\n", NAME ":1: ports: \"averylong", "interface name");
	bad("ports: [a, \"x/y\"]\n", NAME ":1: ports: \"x/y\"", "interface name");
	bad("ports: [a, \"\"]\n", NAME ":1: ports: \"\"", "interface name");
	bad("ports: a\n", NAME ":1: \"ports\" must be a list", "single value");
	hk_config_free(good("mode: passive\nports: [a]\n"));
	hk_config_free(good("mode: passive\nports: [a, b]\n"));
}

#define DOMAIN(rest) HEAD "domains:\n - {name: east, " rest "}\n"
#define PSP	     "envelope: psp, profile: split, keys: k, "
#define ESP	     "envelope: esp, keys: k, receivers: [10.0.0.0/8], "

static void domain_refusals(void)
{
	bad(HEAD "domains:\n - {envelope: psp}\n", NAME ":4: domain 1", "`name`");
	bad(HEAD "domains:\n - {name: \"a b\"}\n", NAME ":4: \"a b\"", "domain name");
	bad(DOMAIN("profile: split"), NAME ":4: domain east", "`envelope`");
	bad(DOMAIN("envelope: psp"), NAME ":4: domain east", "`profile`");
	bad(DOMAIN("envelope: psp, profile: split"), NAME ":4: domain east", "`keys`");
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

static void hook_refusals(void)
{
	bad(HEAD "hooks:\n - {rules: x}\n", NAME ":4: hook 1", "`use`");
	bad(HEAD "hooks:\n - {use: firewall, rules: x, settings: y}\n", NAME ":4: hook firewall",
		"one of them");
	bad(HEAD "hooks:\n - {use: firewall, rules: \"\"}\n", NAME ":4: firewall", "no value");
	bad(HEAD "hooks:\n - firewall\n", NAME ":4: \"hooks\" must be a mapping", "single value");
	bad(HEAD "hooks: [{use: a}, {use: a}, {use: a}, {use: a}, {use: a}, {use: a}, {use: a}, {use: a}, "
		 "{use: a}, "
		 "{use: a}, {use: a}, {use: a}, {use: a}, {use: a}, {use: a}, {use: a}, {use: a}]\n",
		NAME ":3: \"hooks\"", "16");
}

static void feed_refusals(void)
{
	bad(HEAD "feeds:\n  eve: {stats-interval: 1}\n", NAME ":4: feeds: eve", "`path`");
	bad(HEAD "feeds:\n  eve: {path: x, stats-interval: 86401}\n", NAME ":4: feeds: eve: stats-interval",
		"86400");
	bad(HEAD "feeds:\n  mirror: {tap: a}\n", NAME ":4: feeds: mirror: tap: \"a\"", "one of the ports");
	bad(HEAD "feeds:\n  mirror: {tap: \"x%d\"}\n", NAME ":4: feeds: mirror: tap: \"x%d\"",
		"interface name");
	bad(HEAD "feeds:\n  mirror: {}\n", NAME ":4: feeds: mirror", "`tap`");
	bad(HEAD "feeds:\n  pcapng: {max-bytes: 5}\n", NAME ":4: feeds: pcapng", "`path`");
	bad(HEAD "feeds:\n  pcapng: {path: x, max-bytes: 5 GB}\n",
		NAME ":4: feeds: pcapng: max-bytes: \"5 GB\"", "GiB");
	bad(HEAD "feeds:\n  pcapng: {path: x, max-bytes: 99999999 GiB}\n",
		NAME ":4: feeds: pcapng: max-bytes", "");
	bad(HEAD "feeds:\n  pcapng: {path: x, max-bytes: 0}\n", NAME ":4: feeds: pcapng: max-bytes", "");
	bad(HEAD "feeds:\n  eve: {path: x}\n  pcapng: {path: x}\n", NAME ":5: feeds", "same file");
	bad(HEAD "feeds:\n  eev: {path: x}\n", NAME ":4: unknown key \"eev\"", "\"eve\"");
}

static void open_needs_no_ports(void)
{
	struct hk_error error;
	struct hk_config *config = parse(EAST, HK_CONFIG_OPEN, NULL, &error);

	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	CU_ASSERT_EQUAL(config->ports_count, 0);
	hk_config_free(config);
	bad_as(HK_CONFIG_OPEN, "ports: [a]\n" EAST, NAME ":1: ports", "two");
}

static void ids_stay_with_names(void)
{
	struct hk_error error;
	struct hk_config *first = good(HEAD EAST WEST), *next;

	CU_ASSERT_EQUAL(first->domains[0].id, 0);
	CU_ASSERT_EQUAL(first->domains[1].id, 1);
	next = parse(HEAD "domains:\n - {name: new, envelope: psp, profile: split, receivers: [10.0.0.1], "
			  "keys: k}\n" WEST,
		HK_CONFIG_DAEMON, first, &error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(next);
	CU_ASSERT_EQUAL(next->domains[0].id, 2); /* not east's: verdicts for it may still stand */
	CU_ASSERT_EQUAL(next->domains[1].id, 1);
	hk_config_free(first);
	hk_config_free(next);
}

static void replacing(void)
{
	static const struct {
		const char *text, *key;
	} changes[] = {{"mode: monitor\nports: [a, b]\n", "mode"}, {"ports: [a, c]\n", "ports"},
		{HEAD "queues: 2\n", "queues"},
		{HEAD "instance: x\ncontrol: /run/halfkey/default.sock\n", "instance"},
		{HEAD "user: root\n", "user"}, {HEAD "control: /x\n", "control"},
		{HEAD "crypto: libcrypto\n", "crypto"}, {HEAD "frames: 4096\n", "frames"},
		{HEAD "attach: generic\n", "attach"}, {HEAD "keys-max: 100\n", "keys-max"},
		{HEAD "flows-max: 100\n", "flows-max"}, {HEAD "heartbeat-ms: 100\n", "heartbeat-ms"},
		{HEAD "seccomp: log\n", "seccomp"}, {HEAD "feeds: {eve: {path: x}}\n", "feeds: eve"},
		{HEAD "feeds: {mirror: {tap: x}}\n", "feeds: mirror"},
		{HEAD "feeds: {pcapng: {path: x}}\n", "feeds: pcapng"}};
	struct hk_config *now = good(HEAD),
			 *next = good(HEAD EAST "policy: {legacy: drop}\nhooks: [{use: firewall}]\n");
	struct hk_error error = {""};
	unsigned i;

	CU_ASSERT_EQUAL(hk_config_can_replace(now, next, &error), 0);
	CU_ASSERT_STRING_EQUAL(error.text, "");
	hk_config_free(next);
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		char wanted[64];

		next = good(changes[i].text);
		error.text[0] = '\0';
		snprintf(wanted, sizeof(wanted), NAME ": `%s` cannot change", changes[i].key);
		CU_ASSERT_EQUAL(hk_config_can_replace(now, next, &error), -EBUSY);
		CU_ASSERT_PTR_EQUAL(strstr(error.text, wanted), error.text);
		hk_config_free(next);
	}
	hk_config_free(now);
}

/* --- hostile --- */

static void aliases_and_documents(void)
{
	bad("a: &x [1]\nports: *x\n", NAME ":2:", "aliases");
	bad("ports: [a, b]\n---\nports: [c, d]\n", NAME ":2:", "second document");
	bad("? [a, b]\n: c\n", NAME ":1:", "plain word");
	bad("ports: [a, b\n", NAME ":2:", "");
	bad("ports: \"a\n", NAME ":", "");
	bad("\tports: x\n", NAME ":1:", "");
	bad("%YAML 9.9\n---\nports: [a]\n", NAME ":1:", "");
}

static void deep_nesting(void)
{
	char text[20000];

	memset(text, '[', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	bad(text, NAME ":1:", "nested too deeply");
	bad("ports: [[[[[[[[[[a]]]]]]]]]]\n", NAME ":1:", "nested too deeply");
}

static void binary_is_refused(void)
{
	struct hk_error error = {""};
	struct hk_config *config;
	char text[512];
	__u64 seed = 1;
	unsigned round, i;

	for (round = 0; round < 2000; round++) {
		for (i = 0; i < sizeof(text); i++)
			text[i] = (char)random_next(&seed);
		error.text[0] = '\0';
		CU_ASSERT(hk_config_parse(&config, NAME, text, sizeof(text), HK_CONFIG_DAEMON, NULL, &error) <
			  0);
		CU_ASSERT(error.text[0]);
	}
	CU_ASSERT(hk_config_parse(&config, NAME, "ports: \"\\0\"", 11, HK_CONFIG_DAEMON, NULL, &error) < 0);
}

/* Every truncation and many one-byte changes of a good file: refused or taken, never a crash. */
static void mutations(void)
{
	static const char text[] =
		HEAD "policy: {no-key: drop}\n" EAST WEST "hooks:\n - {use: firewall, rules: r}\n";
	char copy[sizeof(text)];
	struct hk_config *config;
	struct hk_error error;
	__u64 seed = 7;
	unsigned i, refused = 0;

	for (i = 0; i < sizeof(text); i++) {
		error.text[0] = '\0';
		if (hk_config_parse(&config, NAME, text, i, HK_CONFIG_DAEMON, NULL, &error))
			CU_ASSERT(error.text[0]);
		hk_config_free(config);
	}
	for (i = 0; i < 3000; i++) {
		memcpy(copy, text, sizeof(text));
		copy[random_next(&seed) % (sizeof(text) - 1)] = (char)random_next(&seed);
		error.text[0] = '\0';
		if (hk_config_parse(&config, NAME, copy, sizeof(text) - 1, HK_CONFIG_DAEMON, NULL, &error)) {
			CU_ASSERT(error.text[0]);
			refused++;
		}
		hk_config_free(config);
	}
	CU_ASSERT(refused > 500);
}

static void huge_files(void)
{
	size_t size = (4u << 20) + 1;
	char *text = malloc(size);
	struct hk_config *config;
	struct hk_error error = {""};

	memset(text, ' ', size);
	CU_ASSERT_EQUAL(hk_config_parse(&config, NAME, text, size, HK_CONFIG_DAEMON, NULL, &error), -EFBIG);
	memcpy(text, "user: ", 6);
	memset(text + 6, 'x', 8192);
	error.text[0] = '\0';
	CU_ASSERT(hk_config_parse(&config, NAME, text, 8198, HK_CONFIG_DAEMON, NULL, &error) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "longer than 4096"));
	free(text);
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

/* A hostile name must not reach a terminal with its control characters. */
static void sentences_are_printable(void)
{
	struct hk_error error;
	const char *c;

	CU_ASSERT_PTR_NULL(parse("mode: \"\\e[31mred\\n\"\nports: [a, b]\n", HK_CONFIG_DAEMON, NULL, &error));
	for (c = error.text; *c; c++)
		CU_ASSERT((unsigned char)*c >= 0x20);
	CU_ASSERT_PTR_NULL(parse("\"x\\e[31my\": 1\nports: [a, b]\n", HK_CONFIG_DAEMON, NULL, &error));
	for (c = error.text; *c; c++)
		CU_ASSERT((unsigned char)*c >= 0x20);
}

/* --- the reference: its examples are taken, and it names every key --- */

static char *read_reference(void)
{
	static char text[1 << 16];
	FILE *file = fopen("docs/configuration.md", "r");
	size_t size = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	CU_ASSERT_FATAL(size > 0);
	text[size] = '\0';
	fclose(file);
	return text;
}

static void documented_examples(void)
{
	char *start = read_reference(), *end;
	unsigned examples = 0;

	while ((start = strstr(start, "```yaml\n"))) {
		start += strlen("```yaml\n");
		end = strstr(start, "```");
		CU_ASSERT_PTR_NOT_NULL_FATAL(end);
		*end = '\0';
		hk_config_free(good(start));
		start = end + 1;
		examples++;
	}
	CU_ASSERT_EQUAL(examples, 3);
}

static void documented_keys(void)
{
	static const char *const keys[] = {"mode", "ports", "domains", "policy", "hooks", "feeds", "instance",
		"attach", "queues", "user", "control", "crypto", "seccomp", "heartbeat-ms", "frames",
		"keys-max", "flows-max", "name", "envelope", "profile", "receivers", "keys", "suite", "mkid",
		"esn", "flow-per-spi", "use", "settings", "rules", "classes"};
	const char *text = read_reference();
	char wanted[64];
	unsigned i;

	for (i = 0; i < HK_REASON_COUNT; i++) {
		if (!hk_reason_name(i) || hk_reason_policy(i) == HK_POLICY_NONE)
			continue;
		snprintf(wanted, sizeof(wanted), "`%s`", hk_reason_name(i));
		CU_ASSERT_PTR_NOT_NULL(strstr(text, wanted));
	}
	for (i = HK_POLICY_NONE + 1; i < HK_POLICY_COUNT; i++) {
		snprintf(wanted, sizeof(wanted), "| `%s` | %s |", hk_policy_name(i),
			hk_policy_default(i) ? "drop" : "pass");
		CU_ASSERT_PTR_NOT_NULL(strstr(text, wanted));
	}
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		snprintf(wanted, sizeof(wanted), "`%s`", keys[i]);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, wanted));
	}
}

int main(void)
{
	static const struct test tests[] = {
		{"every key is read", full_example},
		{"defaults", defaults},
		{"policy: defaults follow the classes", policy_defaults_follow_classes},
		{"policy: every class and reason is a key", every_policy_key},
		{"policy: a reason overrides its class", reason_overrides_class},
		{"policy: refusals", policy_refusals},
		{"top level: refusals", top_level_refusals},
		{"numbers: refusals", number_refusals},
		{"ports: refusals", port_refusals},
		{"domains: refusals", domain_refusals},
		{"domains: TSS", tss_domains},
		{"domains of inline keying", inline_domains},
		{"domains: TSS, refusals", tss_refusals},
		{"domains: one prefix under two envelopes", same_prefix_in_another_envelope_is_fine},
		{"receivers: refusals", receiver_refusals},
		{"hooks: refusals", hook_refusals},
		{"feeds: refusals", feed_refusals},
		{"`halfkey open` needs no ports", open_needs_no_ports},
		{"domain ids stay with their names", ids_stay_with_names},
		{"what a reload may change", replacing},
		{"hostile: aliases, documents, broken YAML", aliases_and_documents},
		{"hostile: deep nesting", deep_nesting},
		{"hostile: binary", binary_is_refused},
		{"hostile: truncated and mutated", mutations},
		{"hostile: huge", huge_files},
		{"65536 receivers, and one more", many_receivers},
		{"sentences are printable", sentences_are_printable},
		{"a directory of key files is of one domain", a_directory_is_of_one_domain},
		{"docs/configuration.md: its examples are taken", documented_examples},
		{"docs/configuration.md: names every key and default", documented_keys},
		{0},
	};

	return run_tests("config", tests);
}
