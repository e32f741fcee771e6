// SPDX-License-Identifier: GPL-2.0-or-later
/* The YAML configuration: every key, every refusal's sentence, and what the reference says of it. */
#include "tests/unit/config_help.h"

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
		if (!hk_reason_name(i))
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
		{"hooks: refusals", hook_refusals},
		{"feeds: refusals", feed_refusals},
		{"`halfkey open` needs no ports", open_needs_no_ports},
		{"domain ids stay with their names", ids_stay_with_names},
		{"what a reload may change", replacing},
		{"docs/configuration.md: its examples are taken", documented_examples},
		{"docs/configuration.md: names every key and default", documented_keys},
		{0},
	};

	return run_tests("config", tests);
}
