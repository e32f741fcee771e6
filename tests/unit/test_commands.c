// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey` as a user meets it: help, usage, check, and the commands that ask a (made-up) daemon. */
#include "tests/unit/run_help.h"
#include "tests/unit/view_help.h"

static const char *const names[] = {
	"open", "check", "doctor", "status", "stats", "keys", "verdicts", "reload", "detach"};

static void help(void)
{
	unsigned i;

	CU_ASSERT_EQUAL(run_shell("$H"), 2);
	CU_ASSERT(run_said("usage: halfkey COMMAND"));
	CU_ASSERT_EQUAL(run_shell("$H help"), 0);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CU_ASSERT(run_said(names[i]));
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		CU_ASSERT_EQUAL(run_shell("$H %s --help", names[i]), 0);
		CU_ASSERT(run_said("usage: halfkey"));
		CU_ASSERT(run_said("example: "));
		CU_ASSERT_EQUAL(run_shell("$H help %s", names[i]), 0);
		CU_ASSERT(run_said("example: "));
		CU_ASSERT_EQUAL(run_shell("$H %s --nonsense", names[i]), 2);
		CU_ASSERT(run_said("--help"));
	}
	CU_ASSERT_EQUAL(run_shell("$H version"), 0);
	CU_ASSERT(run_said("halfkey " HK_VERSION));
	CU_ASSERT_EQUAL(run_shell("$H --version"), 0);
	CU_ASSERT_EQUAL(run_shell("$H help >/dev/full"), 1);
	CU_ASSERT(run_said("could not be written in full"));
}

static void unknown_commands(void)
{
	CU_ASSERT_EQUAL(run_shell("$H statsu"), 2);
	CU_ASSERT(run_said("unknown command \"statsu\": did you mean \"stat"));
	CU_ASSERT_EQUAL(run_shell("$H xyzzy"), 2);
	CU_ASSERT(run_said("unknown command \"xyzzy\" (halfkey help)"));
	CU_ASSERT_EQUAL(run_shell("$H help nonsense"), 2);
	CU_ASSERT_EQUAL(run_shell("$H verdicts lits"), 2);
	CU_ASSERT(run_said("did you mean \"list\""));
	CU_ASSERT_EQUAL(run_shell("$H keys show"), 2);
	CU_ASSERT(run_said("\"show\""));
	CU_ASSERT_EQUAL(run_shell("$H status extra"), 2);
	CU_ASSERT(run_said("\"extra\" is one argument too many"));
}

#define BOX                                                                                                \
	"ports: [a, b]\ndomains:\n - {name: east, envelope: psp, profile: split, receivers: [192.0.2.9], " \
	"keys: e.keys}\n"
#define WITHOUT(name, receiver, envelope, profile) \
	" - {name: " name ", envelope: " envelope ", receivers: [" receiver "], profile: " profile "}\n"
#define KEY                                                                                                  \
	"slot=0 generation=1 side=enc key=e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0 " \
	"receiver=192.0.2.9\n"

static void check_fine(void)
{
	json_t *json;

	run_file("e.keys", 0600, KEY);
	run_file("box.yaml", 0600, BOX "policy: {no-key: drop}\n");
	CU_ASSERT_EQUAL(run_shell("$H check -c box.yaml"), 0);
	CU_ASSERT(run_said("box.yaml: fine"));
	CU_ASSERT(run_said("stale-key"));
	CU_ASSERT(run_said("dropped"));
	CU_ASSERT_EQUAL(run_shell("$H check box.yaml --json"), 0);
	json = run_json();
	CU_ASSERT(json_is_true(json_object_get(json, "ok")));
	CU_ASSERT_EQUAL(json_integer_value(
				json_object_get(json_array_get(json_object_get(json, "domains"), 0), "keys")),
		1);
	CU_ASSERT_STRING_EQUAL(
		json_string_value(json_object_get(
			json_object_get(json_object_get(json, "policy"), "stale-key"), "action")),
		"drop");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(json, "notes")), 0);
	json_decref(json);
}

/* What opens a domain's packets, also where the configuration has no word for it. */
static void check_suites(void)
{
	static const struct {
		const char *domain, *suite;
	} rows[] = {
		{"envelope: psp, profile: split", "by packet"},
		{"envelope: tss, profile: split, tss: {mode: cluster}", "gcm-split"},
		{"envelope: tss, profile: single, tss: {mode: cluster}", "gcm"},
		{"envelope: esp, profile: split, suite: cbc-hmac, mkid: 1", "cbc-hmac"},
		{"envelope: dtls, profile: split, dtls: {port: 4433}", "gcm-split"},
		{"envelope: tls, profile: single, tls: {ports: [443, 8443]}", "by connection"},
	};
	char text[512];
	json_t *json;
	unsigned i;

	run_file("e.keys", 0600, "# none yet\n");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text),
			"ports: [a, b]\ndomains:\n - {name: east, %s, receivers: [192.0.2.9], keys: "
			"e.keys}\n",
			rows[i].domain);
		run_file("box.yaml", 0600, text);
		CU_ASSERT_EQUAL(run_shell("$H check box.yaml --json"), 0);
		json = run_json();
		CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(
					       json_array_get(json_object_get(json, "domains"), 0), "suite")),
			rows[i].suite);
		json_decref(json);
	}
}

/* What the daemon refuses before it touches anything. */
static void check_refuses_what_does_not_fit(void)
{
	static const struct {
		const char *more, *words;
	} rows[] = {
		{"user: nobodyatall\n", "user 'nobodyatall': no such user"},
		{"user: root\n", "is root or in its group"},
		{" - {name: w1, envelope: psp, profile: split, receivers: [198.51.100.1], keys: f.keys, "
		 "keys-dir: d}\n"
		 " - {name: w2, envelope: psp, profile: split, receivers: [198.51.100.2], keys: g.keys, "
		 "keys-dir: "
		 "./d/.}\n",
			"domain w2: keys-dir: ./d/. is d, that of domain w1: give each a directory of its "
			"own"},
	};
	char text[1024];
	unsigned i;

	run_file("e.keys", 0600, KEY);
	run_file("f.keys", 0600, "");
	run_file("g.keys", 0600, "");
	CU_ASSERT_EQUAL(run_shell("mkdir -m 700 -p d"), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), BOX "%s", rows[i].more);
		run_file("box.yaml", 0600, text);
		CU_ASSERT_EQUAL(run_shell("$H check -c box.yaml"), 1);
		CU_ASSERT(run_said(rows[i].words));
	}
}

static void check_refuses(void)
{
	json_t *json;

	run_file("e.keys", 0600, KEY);
	run_file("box.yaml", 0600, BOX "polcy: {}\n");
	CU_ASSERT_EQUAL(run_shell("$H check -c box.yaml"), 1);
	CU_ASSERT(run_said("box.yaml:4: unknown key \"polcy\": did you mean \"policy\"?"));
	CU_ASSERT_EQUAL(run_shell("$H check -j -c box.yaml"), 1);
	json = run_json();
	CU_ASSERT(json_is_false(json_object_get(json, "ok")));
	json_decref(json);
	run_file("box.yaml", 0666, BOX);
	CU_ASSERT_EQUAL(run_shell("$H check -c box.yaml"), 1);
	CU_ASSERT(run_said("chmod go-w"));
	run_file("box.yaml", 0600, BOX "hooks: [{use: nosuchhook}]\n");
	CU_ASSERT_EQUAL(run_shell("$H check -c box.yaml"), 1);
	CU_ASSERT(run_said("nosuchhook"));
	run_file("box.yaml", 0600, BOX "hooks: [{use: firewall, rules: missing.yaml}]\n");
	CU_ASSERT_EQUAL(run_shell("$H check -c box.yaml"), 1);
	CU_ASSERT(run_said("missing.yaml"));
	run_file("box.yaml", 0600, BOX);
	run_file("e.keys", 0640, KEY);
	CU_ASSERT_EQUAL(run_shell("$H check -c box.yaml"), 1);
	CU_ASSERT(run_said("chmod 0600"));
	run_file("e.keys", 0600, KEY);
	CU_ASSERT_EQUAL(run_shell("$H check box.yaml extra"), 2);
	CU_ASSERT_EQUAL(run_shell("$H check -c nowhere.yaml"), 1);
	CU_ASSERT(run_said("nowhere.yaml"));
}

static void check_notes(void)
{
	run_file("e.keys", 0600, "# none yet\n");
	run_file("box.yaml", 0600, BOX "policy: {control: drop, implausible: drop, bad-icv: pass}\n");
	CU_ASSERT_EQUAL(run_shell("$H check -c box.yaml"), 0);
	CU_ASSERT(run_said("note: domain east: e.keys holds no key"));
	CU_ASSERT(run_said("note: policy: `control: drop`"));
	CU_ASSERT(run_said("note: policy: `bad-icv: pass`"));
	CU_ASSERT(run_said("implausible: drop"));
	run_file("box.yaml", 0600,
		"ports: [a, b]\ndomains:\n" WITHOUT("east", "192.0.2.9", "psp", "split")
			WITHOUT("web", "192.0.2.9", "tls", "single, tls: {ports: [443]}")
				WITHOUT("west", "192.0.2.8", "psp", "split, keys-dir: more"));
	CU_ASSERT_EQUAL(run_shell("mkdir more && $H check -c box.yaml"), 0);
	CU_ASSERT(run_said("domain east: has no keys yet: give it some with `halfkey keys add east` or "
			   "`halfkey keys pull --into east`: until then"));
	CU_ASSERT(run_said(
		"domain web: has no keys yet: give it some with `halfkey keys add web`: until then"));
	CU_ASSERT(run_said("`halfkey keys pull --into west`, or in a file NAME.keys of its keys-dir: until"));
	run_file("box.yaml", 0600, "mode: monitor\n" BOX "policy: {no-key: drop}\n");
	CU_ASSERT_EQUAL(run_shell("$H check -c box.yaml"), 0);
	CU_ASSERT(run_said("was forwarded already"));
	run_file("box.yaml", 0600, "mode: passive\n" BOX);
	CU_ASSERT_EQUAL(run_shell("$H check -c box.yaml"), 0);
	CU_ASSERT(run_said("nothing is forwarded"));
}

static void nobody_there(void)
{
	static const char *const asking[] = {"status", "stats", "keys list", "verdicts list", "reload"};
	unsigned i;

	for (i = 0; i < sizeof(asking) / sizeof(asking[0]); i++) {
		CU_ASSERT_EQUAL(run_shell("$H %s -s /tmp/halfkey-nobody.sock", asking[i]), 1);
		CU_ASSERT(run_said("/tmp/halfkey-nobody.sock: no halfkeyd answers"));
	}
	CU_ASSERT_EQUAL(run_shell("$H status -i some-other"), 1);
	CU_ASSERT(run_said("/run/halfkey/some-other.sock"));
}

/* An instance's name becomes part of paths: no command takes one that would lead elsewhere. */
static void instance_names(void)
{
	static const char *const asking[] = {
		"status", "stats", "keys list", "keys pull", "verdicts list", "reload", "detach"};
	static const char *const bad[] = {
		"a/b", "../x", "''", "-x", "a.b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	unsigned i, k;

	for (i = 0; i < sizeof(asking) / sizeof(asking[0]); i++)
		for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
			CU_ASSERT_EQUAL(run_shell("$H %s --instance=%s", asking[i], bad[k]), 2);
			CU_ASSERT(run_said("is no name: up to 32 letters, digits, '-' and '_'"));
		}
}

static void status(void)
{
	json_t *json;

	CU_ASSERT_EQUAL(run_shell("$H status -s %s", path), 0);
	CU_ASSERT(run_said("instance default, mode inline, inspecting"));
	CU_ASSERT(run_said("  box-c  up    2.5 Gbit/s  veth    native  bpf link          2"));
	CU_ASSERT(run_said(" 1 worker, "));
	CU_ASSERT(run_said("seccomp on, 3 system calls refused"));
	CU_ASSERT_EQUAL(run_shell("$H status -j -s %s", path), 0);
	json = run_json();
	CU_ASSERT_EQUAL(json_array_size(json_object_get(json, "ports")), 1);
	json_decref(json);
}

/* With -c the configuration names the socket. */
static void socket_by_configuration(void)
{
	char text[256];

	snprintf(text, sizeof(text), "ports: [a, b]\ncontrol: %s\n", path);
	run_file("socket.yaml", 0600, text);
	CU_ASSERT_EQUAL(run_shell("$H status -c socket.yaml"), 0);
}

static void stats(void)
{
	json_t *json;

	counts.received = 3;
	counts.reasons[HK_REASON_OK].packets = 3;
	CU_ASSERT_EQUAL(run_shell("$H stats -s %s", path), 0);
	CU_ASSERT(run_said("xdp      received 10, counted 10"));
	CU_ASSERT(run_said("legacy"));
	CU_ASSERT(!strstr(run_output, "psp-bit"));
	CU_ASSERT_EQUAL(run_shell("$H stats --all -s %s", path), 0);
	CU_ASSERT(run_said("psp-bit"));
	CU_ASSERT_EQUAL(run_shell("$H stats --json -s %s", path), 0);
	json = run_json();
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_object_get(json, "xdp"), "received")), 10);
	json_decref(json);
	/* it ends when nobody reads any more; the limit is for a fault */
	CU_ASSERT_EQUAL(run_shell("timeout 60 $H stats -j -w 1 -s %s | head -n 2 | wc -l", path), 0);
	CU_ASSERT(run_said("2"));
	CU_ASSERT_EQUAL(run_shell("$H stats -w never"), 2);
}

static void verdicts(void)
{
	json_t *json;

	CU_ASSERT_EQUAL(run_shell("$H verdicts list -j -s %s", path), 0);
	json = run_json();
	CU_ASSERT_EQUAL(json_array_size(json), VERDICTS - 1); /* all pages */
	json_decref(json);
	put_code = delete_code = 0;
	CU_ASSERT_EQUAL(run_shell("$H verdicts add east 192.0.2.1 192.0.2.9 0x1234 drop 60 -s %s", path), 0);
	CU_ASSERT_EQUAL(put_key.spi, 0x1234);
	CU_ASSERT_EQUAL(put_key.envelope, HK_ENVELOPE_PSP);
	CU_ASSERT_EQUAL(run_shell("$H verdicts -s %s delete east 192.0.2.1 192.0.2.9 4660", path), 0);
	CU_ASSERT_EQUAL(deleted_key.spi, 0x1234);
	delete_code = -ENOENT;
	CU_ASSERT_EQUAL(run_shell("$H verdicts delete east 192.0.2.1 192.0.2.9 1 -s %s", path), 1);
	CU_ASSERT(run_said("no verdict for this flow"));
	CU_ASSERT_EQUAL(run_shell("$H verdicts add nord 192.0.2.1 192.0.2.9 1 drop 60 -s %s", path), 1);
	CU_ASSERT(run_said("no domain \"nord\""));
	CU_ASSERT_EQUAL(run_shell("$H verdicts add east 192.0.2 192.0.2.9 1 drop 60"), 2);
	CU_ASSERT(run_said("\"192.0.2\" is not an IP address"));
	CU_ASSERT_EQUAL(run_shell("$H verdicts add east 192.0.2.1 192.0.2.9 0 drop 60"), 2);
	CU_ASSERT(run_said("\"0\" is not an SPI"));
	CU_ASSERT_EQUAL(run_shell("$H verdicts add east 192.0.2.1 192.0.2.9 1 delay 60"), 2);
	CU_ASSERT(run_said("\"delay\""));
	CU_ASSERT_EQUAL(run_shell("$H verdicts add east 192.0.2.1 192.0.2.9 1 drop 0"), 2);
	CU_ASSERT_EQUAL(run_shell("$H verdicts add east"), 2);
	CU_ASSERT_EQUAL(run_shell("$H verdicts"), 2);
}

static void keys(void)
{
	CU_ASSERT_EQUAL(run_shell("$H keys list -s %s", path), 0);
	CU_ASSERT(run_said("fingerprint"));
	CU_ASSERT_EQUAL(run_shell("$H keys list --json -s %s", path), 0);
	CU_ASSERT_EQUAL(run_shell("$H keys"), 2);
}

static void reload(void)
{
	reload_code = reload_later_fails = 0;
	CU_ASSERT_EQUAL(run_shell("$H reload -s %s", path), 0);
	reload_later_fails = 1;
	CU_ASSERT_EQUAL(run_shell("$H reload -s %s", path), 1);
	CU_ASSERT(run_said("refused, the old configuration stays: box.yaml:3: no good"));
	reload_code = -EBUSY;
	CU_ASSERT_EQUAL(run_shell("$H reload -s %s", path), 1);
}

static void detach(void)
{
	if (geteuid() != 0) {
		skip_test("looking for pins needs root");
		return;
	}
	CU_ASSERT_EQUAL(run_shell("$H detach -i never-%d", getpid()), 0);
	CU_ASSERT(run_said("nothing is attached"));
}

static void doctor(void)
{
	json_t *json, *row;
	bool found = false;
	size_t i;

	CU_ASSERT_EQUAL(run_shell("$H doctor -j hk-none-%d", getpid() % 10000), 1);
	json = run_json();
	json_array_foreach(json, i, row)
	{
		CU_ASSERT(json_is_string(json_object_get(row, "level")));
		if (strncmp(json_string_value(json_object_get(row, "subject")), "hk-none", 7) == 0)
			found = !strcmp(json_string_value(json_object_get(row, "level")), "fail");
	}
	CU_ASSERT(found);
	json_decref(json);
}

int main(void)
{
	static const struct test tests[] = {
		{"help, version, an example for each", help},
		{"unknown commands suggest the nearest", unknown_commands},
		{"check: fine", check_fine},
		{"check: suites", check_suites},
		{"check: refusals", check_refuses},
		{"check refuses what does not fit", check_refuses_what_does_not_fit},
		{"check: notes and effects by mode", check_notes},
		{"no daemon: a sentence", nobody_there},
		{"a bad instance name is refused by every command", instance_names},
		{"status", status},
		{"the configuration names the socket", socket_by_configuration},
		{"stats", stats},
		{"verdicts", verdicts},
		{"keys", keys},
		{"reload waits for the outcome", reload},
		{"detach", detach},
		{"doctor names what is missing", doctor},
		{0},
	};
	int code;

	if (run_begin() || start(run_directory))
		return 2;
	code = run_tests("commands", tests);
	stop();
	run_end();
	return code;
}
