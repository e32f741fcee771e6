// SPDX-License-Identifier: GPL-2.0-or-later
/* A pulled key set, the file or the inspector that gets it (user/cmd/keys_put.h): the daemon is made up. */
#include "tests/unit/harness.h"
#include "tests/unit/ring_help.h"
#include "tests/unit/view_help.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/cmd/keys_put.h"

#define LINE_OF(slot, generation, receiver)                                                  \
	"slot=" slot " generation=" generation " side=enc "                                  \
	"key=e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0" slot generation \
	" receiver=" receiver "\n"
#define LINE LINE_OF("0", "1", "192.0.2.9")

static char directory[] = "/tmp/halfkey-keyput-XXXXXX";

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

/* A reader's set holds reader keys alone, a box's none: neither is taken for the other. */
static void sides_belong_to_roles(void)
{
	static const char reader_line[] =
		"slot=1 id=1026 generation=1 side=reader "
		"key=e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1 receiver=192.0.2.9\n";
	struct hk_key_place east = place("east"), reader = east;
	struct hk_error error = {""};

	reader.reader = true;
	CU_ASSERT_EQUAL(hk_keys_put(&reader, reader_line, &error), 0);
	CU_ASSERT_STRING_EQUAL(keys_text, reader_line);
	CU_ASSERT_EQUAL(hk_keys_put(&east, reader_line, &error), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "a box must not hold"));
	error.text[0] = '\0';
	CU_ASSERT_EQUAL(hk_keys_put(&reader, LINE, &error), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "a reader must not hold"));
	CU_ASSERT_STRING_EQUAL(keys_text, reader_line); /* nothing came of them */
}

static void what_is_refused_has_no_holder(void)
{
	struct hk_key_place nowhere = place("nowhere");
	struct hk_error error = {""};

	CU_ASSERT(hk_keys_put(&nowhere, LINE, &error) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "no such domain"));
	CU_ASSERT_EQUAL(hk_keys_still_there(&nowhere, &error), 0);
}

/* --- what is in force goes when the set has it no more --------------------------------------------- */

#define FILED	  LINE_OF("0", "7", "192.0.2.1")
#define KEPT	  LINE_OF("1", "2", "192.0.2.1")
#define SLOT	  LINE_OF("0", "2", "192.0.2.1")
#define RENEWED	  LINE_OF("1", "3", "192.0.2.1")
#define ELSEWHERE "slot=1 generation=2 side=enc key=" KEY("05") " receiver=192.0.2.2\n"
#define EXPLICIT  "receiver=192.0.2.1 spi=9 version=5 side=enc key=" KEY("03") "\n"

/* A daemon with keys: of domain east from its file and over the socket, of west over the socket. */
static struct ring ring;
static struct hk_inspection keys_of_ring;
static struct hk_config config_before;

static void keys_begin(const char *east, const char *west)
{
	memset(&ring, 0, sizeof(ring));
	box_init(&ring.box);
	strcpy(box_domain(&ring.box, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, FILED)->name, "east");
	strcpy(box_domain(&ring.box, HK_ENVELOPE_PSP, HK_PROFILE_SPLIT, 0, "")->name, "west");
	CU_ASSERT_EQUAL_FATAL(
		hk_keyring_new(&ring.keyring, ring.box.arena, &ring.box.config, &ring.box.files, &ring.error),
		0);
	CU_ASSERT_EQUAL_FATAL(change(&ring, east), 0);
	CU_ASSERT_EQUAL_FATAL(change_with(&ring, &(struct hk_key_update){.domain = &ring.box.domains[1],
							 .name = "update",
							 .text = west}),
		0);
	config_before = config;
	config = ring.box.config;
	config.path = config_before.path;
	config.instance = config_before.instance;
	keys_of_ring.keyring = ring.keyring;
	inspection = &keys_of_ring;
}

static void keys_end(void)
{
	inspection = NULL;
	config = config_before;
	ring_free(&ring);
}

static void the_set_before_is_replaced(void)
{
	struct hk_key_place east = place("east");
	struct hk_error error = {""};

	keys_begin(KEPT SLOT RENEWED ELSEWHERE EXPLICIT, LINE_OF("1", "9", "192.0.2.1"));
	CU_ASSERT_EQUAL(hk_keys_put(&east, KEPT LINE, &error), 0);
	/* what is of a file, of another domain, or no master key is not the key server's */
	CU_ASSERT_PTR_NOT_NULL(strstr(keys_text, "retire slot=0 generation=2 receiver=192.0.2.1\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(keys_text, "retire slot=1 generation=3 receiver=192.0.2.1\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(keys_text, "retire slot=1 generation=2 receiver=192.0.2.2\n"));
	CU_ASSERT_EQUAL(strlen(keys_text),
		3 * strlen("retire slot=1 generation=2 receiver=192.0.2.1\n") + strlen(KEPT LINE));
	CU_ASSERT_STRING_EQUAL(keys_text + strlen(keys_text) - strlen(KEPT LINE), KEPT LINE);
	keys_end();
}

#define LAST "slot=0 generation=99 side=enc key=" KEY("99") R1 "\n"

/* However many there are, the last is known as the first is. */
static void a_long_set_is_known_whole(void)
{
	char *lines = NULL;
	struct hk_key_place east = place("east");
	struct hk_error error = {""};
	size_t size = 0;
	FILE *out = open_memstream(&lines, &size);
	unsigned generation;

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	for (generation = 1; generation < 99; generation++)
		fprintf(out, "slot=1 generation=%u side=enc key=%064x receiver=192.0.2.1\n", generation,
			generation);
	fputs(LAST, out);
	fclose(out);
	keys_begin(LAST, "");
	CU_ASSERT_EQUAL(hk_keys_put(&east, lines, &error), 0);
	CU_ASSERT_PTR_NULL(strstr(keys_text, "retire"));
	CU_ASSERT_EQUAL(strncmp(keys_text, lines, sizeof(keys_text) - 1), 0);
	keys_end();
	free(lines);
}

/* --- what no box may hold, or no key server of ours sends ------------------------------------------- */

static const struct {
	const char *lines, *says;
	int code;
} refusals[] = {
	{LINE "slot=1 generation=2 side=auth key=" KEY("04") R1 "\n", "side that a box must not hold",
		-EPERM},
	{LINE "slot=1 generation=2 side=reader key=" KEY("04") R1 "\n", "side that a box must not hold",
		-EPERM},
	{LINE EXPLICIT, "no receiver's master key", -EPROTO},
	{LINE "slot=1 generation=2 side=enc key=" KEY("04") "\n", "no receiver's master key", -EPROTO},
	{LINE "nonsense\n", "key server:2: ", -EINVAL},
};

static char *content(const char *name)
{
	static char text[4096];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[got > 0 ? got : 0] = '\0';
	return text;
}

static void wrong_sets_change_nothing(void)
{
	struct hk_key_place into = place("east"), file = {0};
	struct hk_error error = {""};
	char name[64];
	unsigned i;

	snprintf(name, sizeof(name), "%s/box.keys", directory);
	file.file = name;
	CU_ASSERT_EQUAL(hk_keys_put(&file, LINE, &error), 0);
	strcpy(keys_text, "untouched");
	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		error = (struct hk_error){""};
		CU_ASSERT_EQUAL(hk_keys_put(&file, refusals[i].lines, &error), refusals[i].code);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, refusals[i].says));
		CU_ASSERT_STRING_EQUAL(content(name), LINE);
		CU_ASSERT_EQUAL(hk_keys_put(&into, refusals[i].lines, &error), refusals[i].code);
		CU_ASSERT_STRING_EQUAL(keys_text, "untouched");
	}
	CU_ASSERT_EQUAL(into.holder.process, 0);
	unlink(name);
}

/* --- files ------------------------------------------------------------------------------------------ */

/* Private whatever the umask, in the place of what was there, and nothing else is touched. */
static void a_file_is_replaced_as_a_whole(void)
{
	char name[64], draft[72], other[64];
	struct hk_key_place file = {.file = name};
	struct hk_error error = {""};
	struct stat status;
	mode_t mask = umask(0);
	int unused = dup(0);

	close(unused);
	snprintf(name, sizeof(name), "%s/box.keys", directory);
	snprintf(draft, sizeof(draft), "%s.new", name);
	snprintf(other, sizeof(other), "%s/other", directory);
	CU_ASSERT_EQUAL(hk_keys_put(&file, LINE, &error), 0);
	umask(mask);
	CU_ASSERT_EQUAL(stat(name, &status), 0);
	CU_ASSERT_EQUAL(status.st_mode, S_IFREG | 0600);
	close(open(other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	CU_ASSERT_EQUAL(symlink(other, draft), 0); /* left behind, or laid there */
	CU_ASSERT_EQUAL(hk_keys_put(&file, KEPT LINE, &error), 0);
	CU_ASSERT_STRING_EQUAL(content(name), KEPT LINE);
	CU_ASSERT_STRING_EQUAL(content(other), "");
	CU_ASSERT_EQUAL(lstat(name, &status), 0);
	CU_ASSERT_EQUAL(status.st_mode, S_IFREG | 0600);
	CU_ASSERT_EQUAL(lstat(draft, &status), -1);
	CU_ASSERT_EQUAL(dup(0), unused); /* the lowest free number is what it was */
	close(unused);
	unlink(other);
	unlink(name);
}

static void what_cannot_be_written_leaves_the_old_set(void)
{
	char name[64], draft[72];
	struct hk_key_place file = {.file = name};
	struct hk_error error = {""};
	struct rlimit before, small;
	struct stat status;

	snprintf(name, sizeof(name), "%s/none/box.keys", directory);
	CU_ASSERT_EQUAL(hk_keys_put(&file, LINE, &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "none/box.keys: cannot be written: No such file"));
	snprintf(name, sizeof(name), "%s/box.keys", directory);
	snprintf(draft, sizeof(draft), "%s.new", name);
	CU_ASSERT_EQUAL(hk_keys_put(&file, LINE, &error), 0);
	/* room for one line, and not for a second */
	CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){.rlim_cur = sizeof(LINE), .rlim_max = before.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &small), 0);
	CU_ASSERT_EQUAL(hk_keys_put(&file, KEPT LINE, &error), -EFBIG);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
	CU_ASSERT_STRING_EQUAL(content(name), LINE);
	CU_ASSERT_EQUAL(lstat(draft, &status), -1);
	unlink(name);
	CU_ASSERT_EQUAL(mkdir(name, 0700), 0);
	CU_ASSERT_EQUAL(hk_keys_put(&file, LINE, &error), -EISDIR);
	CU_ASSERT_EQUAL(lstat(draft, &status), -1);
	rmdir(name);
}

static void a_file_is_put_when_it_is_in_force(void)
{
	char name[64];
	struct hk_key_place file = {.file = name, .daemon = {.socket = path}};
	struct hk_error error = {""};
	int before = reloads;

	snprintf(name, sizeof(name), "%s/box.keys", directory);
	CU_ASSERT_EQUAL(hk_keys_put(&file, LINE, &error), 0);
	CU_ASSERT_EQUAL(reloads, before);
	file.reload = true;
	CU_ASSERT_EQUAL(hk_keys_put(&file, LINE, &error), 0);
	CU_ASSERT_EQUAL(reloads, before + 1);
	reload_later_fails = 1;
	CU_ASSERT_EQUAL(hk_keys_put(&file, KEPT LINE, &error), -EIO);
	reload_later_fails = 0;
	CU_ASSERT_EQUAL(reloads, before + 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "box.keys is written, but halfkeyd did not take it"));
	CU_ASSERT_STRING_EQUAL(content(name), KEPT LINE);
	unlink(name);
	snprintf(name, sizeof(name), "%s/none/box.keys", directory);
	CU_ASSERT_EQUAL(hk_keys_put(&file, LINE, &error), -ENOENT);
	CU_ASSERT_EQUAL(reloads, before + 2); /* what is not there is not read */
}

static void nobody_there(void)
{
	struct hk_key_place into = {.into = "east", .daemon = {.socket = "/tmp/halfkey-keyput-none.sock"}};
	struct hk_error error = {""};

	CU_ASSERT_EQUAL(hk_keys_put(&into, LINE, &error), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "no halfkeyd answers"));
	CU_ASSERT_EQUAL(into.holder.process, 0);
}

int main(void)
{
	static const struct test tests[] = {
		{"another inspector is noticed", another_inspector_is_noticed},
		{"sides belong to roles", sides_belong_to_roles},
		{"what is refused has no holder", what_is_refused_has_no_holder},
		{"the set before is replaced", the_set_before_is_replaced},
		{"a long set is known whole", a_long_set_is_known_whole},
		{"wrong sets change nothing", wrong_sets_change_nothing},
		{"a file is replaced as a whole", a_file_is_replaced_as_a_whole},
		{"what cannot be written leaves the old set", what_cannot_be_written_leaves_the_old_set},
		{"a file is put when it is in force", a_file_is_put_when_it_is_in_force},
		{"nobody there", nobody_there},
		{0},
	};
	int status;

	if (!mkdtemp(directory) || start(directory))
		return 1;
	status = run_tests("keyput", tests);
	stop();
	unlink(path);
	rmdir(directory);
	return status;
}
