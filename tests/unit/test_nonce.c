// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Numbers that never repeat: the state file over restarts, kills, copies,
 * restores and damage, and the receiver's replay window.
 */
#include "tests/unit/seal_help.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "user/endpoint/epoch.h"
#include "user/endpoint/nonces.h"
#include "user/endpoint/replay.h"

static struct hk_crypto *crypto;
static char directory[64];

static struct hk_sa *make_sa(unsigned envelope, unsigned variant, __u32 spi)
{
	struct hk_sa_name name = {(__u8)envelope, (__u8)variant, 1, spi, address("192.0.2.9")};
	struct master master;
	__u64 seed = 1;
	struct hk_sa *sa;

	master_random(&master, &seed);
	sa = sa_of(crypto, &name, &master);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	return sa;
}

static void directory_make(void)
{
	snprintf(directory, sizeof(directory), "/tmp/halfkey-nonces.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
}

/* The only state file's path. */
static const char *state_path(void)
{
	static char path[400];
	DIR *dir = opendir(directory);
	struct dirent *entry;

	path[0] = '\0';
	while (dir && (entry = readdir(dir)))
		if (strstr(entry->d_name, ".nonces"))
			snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
	closedir(dir);
	return path;
}

static void directory_remove(void)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char path[400];

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	closedir(dir);
	rmdir(directory);
}

static int try_open(struct hk_nonce_state **out, const struct hk_sa *sa, const char *sender, bool first_use)
{
	struct hk_error error = {{0}};
	struct hk_state_place place = {.directory = directory, .sender = sender, .first_use = first_use};
	int status = hk_nonce_state_open(out, &place, sa, &error);

	CU_ASSERT_EQUAL(status != 0, error.text[0] != 0); /* a sentence exactly with a refusal */
	return status;
}

static struct hk_nonce_state *must_open(const struct hk_sa *sa, bool first_use)
{
	struct hk_nonce_state *nonces = NULL;

	CU_ASSERT_EQUAL_FATAL(try_open(&nonces, sa, "192.0.2.1", first_use), 0);
	return nonces;
}

/* Draws `count` numbers that must go up from `*last`. */
static void draw(struct hk_nonce_state *nonces, unsigned count, struct hk_numbers *last)
{
	struct hk_numbers numbers;

	while (count--) {
		CU_ASSERT_EQUAL_FATAL(hk_nonce_state_next(nonces, &numbers), 0);
		CU_ASSERT(numbers.iv > last->iv && numbers.sn > last->sn);
		*last = numbers;
	}
}

static void restarts_go_on(void)
{
	struct hk_sa *sa = make_sa(HK_ENVELOPE_ESP, HK_SUITE_CTR_HMAC, 0x1000);
	struct hk_numbers last = {0};
	struct hk_nonce_state *nonces;
	unsigned i;

	directory_make();
	nonces = must_open(sa, true);
	draw(nonces, 100, &last);
	CU_ASSERT_EQUAL(last.sn, 100);
	hk_nonce_state_close(nonces);
	for (i = 0; i < 20; i++) {
		nonces = must_open(sa, false);
		draw(nonces, 10, &last);
		hk_nonce_state_close(nonces);
	}
	CU_ASSERT_EQUAL(last.sn, 300); /* a clean stop gives back what it did not use */
	nonces = must_open(sa, false);
	draw(nonces, 3 * HK_NONCES_BLOCK, &last); /* over several reservations */
	hk_nonce_state_close(nonces);
	directory_remove();
	hk_sa_free(sa);
}

/* A child draws and reports numbers until it is killed in the middle; what it reported is `*last`. */
static void draw_and_die(const struct hk_sa *sa, bool first_use, struct hk_numbers *last)
{
	struct hk_numbers numbers;
	int pipes[2], count = 0;
	pid_t child;

	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	child = fork();
	if (child == 0) {
		const struct hk_state_place place = {
			.directory = directory, .sender = "192.0.2.1", .first_use = first_use};
		struct hk_nonce_state *nonces = NULL;

		if (hk_nonce_state_open(&nonces, &place, sa, NULL))
			_exit(1);
		while (!hk_nonce_state_next(nonces, &numbers))
			if (write(pipes[1], &numbers, sizeof(numbers)) != sizeof(numbers))
				break;
		_exit(1);
	}
	close(pipes[1]);
	while (count++ < 500 && read(pipes[0], &numbers, sizeof(numbers)) == sizeof(numbers)) {
		CU_ASSERT(numbers.iv > last->iv && numbers.sn > last->sn);
		*last = numbers;
	}
	kill(child, SIGKILL);
	while (read(pipes[0], &numbers, sizeof(numbers)) == sizeof(numbers)) {
		CU_ASSERT(numbers.iv > last->iv && numbers.sn > last->sn);
		*last = numbers;
	}
	waitpid(child, NULL, 0);
	close(pipes[0]);
}

/* Sequence numbers of ESP end, so no more of them may be lost than was reserved. */
static void killed_senders_repeat_nothing(void)
{
	struct hk_sa *sas[2] = {make_sa(HK_ENVELOPE_PSP, HK_PSP_SPLIT_256, 0x1000),
		make_sa(HK_ENVELOPE_ESP, HK_SUITE_CTR_HMAC, 0x1000)};
	struct hk_numbers last;
	unsigned i, k;

	for (k = 0; k < 2; k++) {
		memset(&last, 0, sizeof(last));
		directory_make();
		for (i = 0; i < 10; i++)
			draw_and_die(sas[k], i == 0, &last);
		CU_ASSERT(last.sn > 9 * HK_NONCES_BLOCK); /* each death lost its reserved block */
		CU_ASSERT(last.sn < 20 * HK_NONCES_BLOCK);
		directory_remove();
		hk_sa_free(sas[k]);
	}
}

/* A full disk, as the process sees it. */
static void no_room(bool full)
{
	struct rlimit limit;

	CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = full ? 0 : limit.rlim_max;
	(void)signal(SIGXFSZ, full ? SIG_IGN : SIG_DFL);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_first_use_without_room_is_none(void)
{
	const struct hk_state_place place = {
		.directory = directory, .sender = "192.0.2.1", .first_use = true};
	struct hk_sa *sa = make_sa(HK_ENVELOPE_PSP, HK_PSP_SPLIT_256, 0x1000);
	struct hk_nonce_state *nonces = NULL;
	struct hk_epochs *epochs = NULL;
	struct hk_error error = {{0}};

	directory_make();
	no_room(true);
	CU_ASSERT_NOT_EQUAL(hk_nonce_state_open(&nonces, &place, sa, &error), 0);
	CU_ASSERT_NOT_EQUAL(hk_epochs_open(&epochs, &place, 1, 1, &error), 0);
	no_room(false);
	CU_ASSERT_EQUAL(*state_path(), '\0');
	CU_ASSERT_EQUAL(hk_epochs_open(&epochs, &place, 1, 1, &error), 0);
	hk_epochs_close(epochs, false);
	CU_ASSERT_EQUAL(hk_epochs_open(&epochs, &place, 1, 1, &error), -EEXIST);
	nonces = must_open(sa, true);
	hk_nonce_state_close(nonces);
	/* one that is there stays, whatever fails */
	no_room(true);
	CU_ASSERT_EQUAL(try_open(&nonces, sa, "192.0.2.1", true), -EEXIST);
	no_room(false);
	hk_nonce_state_close(must_open(sa, false));
	directory_remove();
	hk_sa_free(sa);
}

static void first_use_is_once(void)
{
	struct hk_sa *sa = make_sa(HK_ENVELOPE_PSP, HK_PSP_SPLIT_256, 0x1000);
	struct hk_nonce_state *nonces;

	directory_make();
	CU_ASSERT_EQUAL(try_open(&nonces, sa, "192.0.2.1", false), -ENOENT);
	nonces = must_open(sa, true);
	hk_nonce_state_close(nonces);
	CU_ASSERT_EQUAL(try_open(&nonces, sa, "192.0.2.1", true), -EEXIST);
	hk_nonce_state_close(must_open(sa, false));
	unlink(state_path()); /* lost */
	CU_ASSERT_EQUAL(try_open(&nonces, sa, "192.0.2.1", false), -ENOENT);
	nonces = must_open(sa, true);
	hk_nonce_state_discard(nonces); /* came to nothing: as if never tried */
	nonces = must_open(sa, true);
	CU_ASSERT_EQUAL(hk_nonce_state_next(nonces, &(struct hk_numbers){0}), 0);
	hk_nonce_state_discard(nonces); /* a number went out: the state stays */
	CU_ASSERT_EQUAL(try_open(&nonces, sa, "192.0.2.1", true), -EEXIST);
	directory_remove();
	hk_sa_free(sa);
}

static void one_sender_at_a_time(void)
{
	struct hk_sa *sa = make_sa(HK_ENVELOPE_PSP, HK_PSP_SPLIT_256, 0x1000);
	struct hk_nonce_state *nonces, *second;

	directory_make();
	nonces = must_open(sa, true);
	CU_ASSERT_EQUAL(try_open(&second, sa, "192.0.2.1", false), -EBUSY);
	hk_nonce_state_close(nonces);
	CU_ASSERT_EQUAL(try_open(&second, sa, "192.0.2.2", false), -EBUSY);
	CU_ASSERT_EQUAL(try_open(&second, sa, "two words", false), -EINVAL);
	CU_ASSERT_EQUAL(try_open(&second, sa, "", false), -EINVAL);
	hk_nonce_state_close(must_open(sa, false));
	directory_remove();
	hk_sa_free(sa);
}

/* Two SPIs, and two keys of one SPI, have states of their own. */
static void states_are_apart(void)
{
	struct hk_sa *one = make_sa(HK_ENVELOPE_PSP, HK_PSP_SPLIT_256, 0x1000);
	struct hk_sa *two = make_sa(HK_ENVELOPE_PSP, HK_PSP_SPLIT_256, 0x1001);
	struct hk_sa *three = make_sa(HK_ENVELOPE_PSP, HK_PSP_SPLIT_128, 0x1000);
	struct hk_nonce_state *a, *b, *c;

	directory_make();
	a = must_open(one, true);
	b = must_open(two, true);
	c = must_open(three, true);
	hk_nonce_state_close(a);
	hk_nonce_state_close(b);
	hk_nonce_state_close(c);
	directory_remove();
	hk_sa_free(one);
	hk_sa_free(two);
	hk_sa_free(three);
}

static size_t slurp(const char *path, char *text, size_t max)
{
	int fd = open(path, O_RDONLY);
	ssize_t size = fd < 0 ? 0 : read(fd, text, max);

	close(fd);
	return size > 0 ? (size_t)size : 0;
}

static void spill(const char *path, const char *text, size_t size)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	CU_ASSERT_EQUAL(write(fd, text, size), (ssize_t)size);
	close(fd);
}

/* A record as the sender writes it, for this very file, with values of our choice. */
static void write_record(const char *path, __u32 spi, __u64 iv, __u64 sn, long long age)
{
	__u8 digest[SHA256_DIGEST_LENGTH];
	char text[512], sum[33];
	struct stat stat_;
	time_t now;
	int size;

	CU_ASSERT_EQUAL_FATAL(stat(path, &stat_), 0);
	do { /* until the time in it is that of the file: a busy machine may stand still between them */
		now = time(NULL);
		memset(text, '\n', sizeof(text));
		size = snprintf(text, sizeof(text),
			"halfkey-nonces 2 spi=0x%08x iv=%llu sn=%llu sender=192.0.2.1 inode=%llu "
			"written=%lld sum=",
			spi, iv, sn, (unsigned long long)stat_.st_ino, (long long)now - age);
		SHA256((const unsigned char *)text, (size_t)size, digest);
		hk_hex_format(digest, 16, sum);
		memcpy(text + size, sum, 32);
		text[size + 32] = '\n';
		spill(path, text, sizeof(text));
		CU_ASSERT_EQUAL_FATAL(stat(path, &stat_), 0);
	} while (stat_.st_ctime != now);
}

static void damage_is_refused(void)
{
	struct hk_sa *sa = make_sa(HK_ENVELOPE_PSP, HK_PSP_SPLIT_256, 0x1000);
	struct hk_nonce_state *nonces;
	char path[400], text[600], bad[600];
	size_t size, i;

	directory_make();
	hk_nonce_state_close(must_open(sa, true));
	snprintf(path, sizeof(path), "%s", state_path());
	size = slurp(path, text, sizeof(text));
	CU_ASSERT_EQUAL_FATAL(size, 512);
	for (i = 0; text[i] != '\n'; i++) {
		memcpy(bad, text, size);
		bad[i] ^= 1;
		spill(path, bad, size);
		CU_ASSERT_EQUAL(try_open(&nonces, sa, "192.0.2.1", false), -EUCLEAN);
	}
	spill(path, text, size - 1);
	CU_ASSERT_EQUAL(try_open(&nonces, sa, "192.0.2.1", false), -EUCLEAN);
	spill(path, "", 0);
	CU_ASSERT_EQUAL(try_open(&nonces, sa, "192.0.2.1", false), -EUCLEAN);
	write_record(path, 0x1001, 5, 5, 0); /* whole, but of another SPI */
	CU_ASSERT_EQUAL(try_open(&nonces, sa, "192.0.2.1", false), -EUCLEAN);
	write_record(path, 0x1000, 5, 5, 0);
	hk_nonce_state_close(must_open(sa, false)); /* our own helper writes records that are taken */
	directory_remove();
	hk_sa_free(sa);
}

static void rollback_is_refused(void)
{
	struct hk_sa *sa = make_sa(HK_ENVELOPE_PSP, HK_PSP_SPLIT_256, 0x1000);
	struct hk_nonce_state *nonces;
	char path[400], away[420], text[600];
	size_t size;

	directory_make();
	hk_nonce_state_close(must_open(sa, true));
	snprintf(path, sizeof(path), "%s", state_path());
	snprintf(away, sizeof(away), "%s.old", path);
	size = slurp(path, text, sizeof(text));
	write_record(path, 0x1000, 5, 5, 3600); /* an hour old, put back in place */
	CU_ASSERT_EQUAL(try_open(&nonces, sa, "192.0.2.1", false), -EUCLEAN);
	CU_ASSERT_EQUAL(rename(path, away), 0); /* keeps the inode number in use */
	spill(path, text, size);		/* a copy in its place */
	CU_ASSERT_EQUAL(try_open(&nonces, sa, "192.0.2.1", false), -EUCLEAN);
	unlink(path);
	CU_ASSERT_EQUAL(symlink(away, path), 0);
	CU_ASSERT(try_open(&nonces, sa, "192.0.2.1", false) < 0);
	directory_remove();
	hk_sa_free(sa);
}

static int try_epochs(struct hk_epochs **epochs, bool first_use, struct hk_error *error)
{
	const struct hk_state_place place = {
		.directory = directory, .sender = "192.0.2.1", .first_use = first_use};

	*epochs = NULL;
	memset(error, 0, sizeof(*error));
	return hk_epochs_open(epochs, &place, 42, 7, error);
}

/* A context's epochs stand under the same rules: with one of them come all its numbers again. */
static void epochs_never_come_back(void)
{
	char path[400], away[420], text[600];
	struct hk_epochs *epochs;
	struct hk_error error;
	__u32 first, next;
	size_t size, i;

	directory_make();
	CU_ASSERT_EQUAL_FATAL(try_epochs(&epochs, true, &error), 0);
	CU_ASSERT_EQUAL(hk_epoch_next(epochs, &first, &error), 0);
	hk_epochs_close(epochs, false);
	snprintf(path, sizeof(path), "%s/dkc-42-0000000000000007.epoch", directory);
	snprintf(away, sizeof(away), "%s.old", path);
	size = slurp(path, text, sizeof(text));
	CU_ASSERT_EQUAL_FATAL(size, 512);
	CU_ASSERT_EQUAL_FATAL(try_epochs(&epochs, false, &error), 0);
	CU_ASSERT_EQUAL(hk_epoch_next(epochs, &next, &error), 0);
	CU_ASSERT(next > first);
	hk_epochs_close(epochs, false);
	for (i = 0; i < size && text[i] != '\n'; i++) {
		text[i] ^= 1;
		spill(path, text, size);
		text[i] ^= 1;
		CU_ASSERT_EQUAL(try_epochs(&epochs, false, &error), -EUCLEAN);
	}
	spill(path, text, size - 1);
	CU_ASSERT_EQUAL(try_epochs(&epochs, false, &error), -EUCLEAN);
	CU_ASSERT_EQUAL(rename(path, away), 0); /* keeps the inode number in use */
	spill(path, text, size);		/* a copy in its place */
	CU_ASSERT_EQUAL(try_epochs(&epochs, false, &error), -EUCLEAN);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "copy of another file"));
	directory_remove();
}

/* Should an old state come back unseen after all (a whole machine's snapshot), IVs follow the clock. */
static void ivs_follow_the_clock(void)
{
	struct hk_sa *sa = make_sa(HK_ENVELOPE_ESP, HK_SUITE_GCM_SPLIT, 0x1000);
	struct hk_numbers before, after;
	struct hk_nonce_state *nonces;
	char path[400];

	directory_make();
	nonces = must_open(sa, true);
	CU_ASSERT_EQUAL(hk_nonce_state_next(nonces, &before), 0);
	hk_nonce_state_close(nonces);
	snprintf(path, sizeof(path), "%s", state_path());
	write_record(path, 0x1000, 1, 1, 0);
	nonces = must_open(sa, false);
	CU_ASSERT_EQUAL(hk_nonce_state_next(nonces, &after), 0);
	CU_ASSERT(after.iv > before.iv);
	hk_nonce_state_close(nonces);
	/* and a mark ahead of the clock stays in force */
	write_record(path, 0x1000, before.iv + 10000000000000ull, 1, 0);
	nonces = must_open(sa, false);
	CU_ASSERT_EQUAL(hk_nonce_state_next(nonces, &after), 0);
	CU_ASSERT_EQUAL(after.iv, before.iv + 10000000000000ull);
	hk_nonce_state_close(nonces);
	directory_remove();
	hk_sa_free(sa);
}

static void sequence_numbers_never_wrap(void)
{
	struct hk_sa *sa = make_sa(HK_ENVELOPE_ESP, HK_SUITE_CBC_HMAC, 0x1000);
	struct hk_numbers last = {0}, numbers;
	struct hk_nonce_state *nonces;
	char path[400];

	directory_make();
	hk_nonce_state_close(must_open(sa, true));
	snprintf(path, sizeof(path), "%s", state_path());
	write_record(path, 0x1000, 1, 0xffffffff - 9, 0);
	nonces = must_open(sa, false);
	draw(nonces, 10, &last);
	CU_ASSERT_EQUAL(last.sn, 0xffffffff);
	CU_ASSERT_EQUAL(hk_nonce_state_next(nonces, &numbers), -EOVERFLOW);
	CU_ASSERT_EQUAL(hk_nonce_state_next(nonces, &numbers), -EOVERFLOW);
	hk_nonce_state_close(nonces);
	nonces = must_open(sa, false); /* nor after a restart */
	CU_ASSERT_EQUAL(hk_nonce_state_next(nonces, &numbers), -EOVERFLOW);
	hk_nonce_state_close(nonces);
	write_record(path, 0x1000, 0xffffffffffffffffull - 5, 1, 0);
	nonces = must_open(sa, false);
	CU_ASSERT_EQUAL(hk_nonce_state_next(nonces, &numbers), -EOVERFLOW);
	hk_nonce_state_close(nonces);
	directory_remove();
	hk_sa_free(sa);
}

static void directories_are_checked(void)
{
	struct hk_error error = {{0}};

	directory_make();
	CU_ASSERT_EQUAL(chmod(directory, 0777), 0);
	CU_ASSERT_EQUAL(hk_state_directory(directory, &error), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "0777"));
	CU_ASSERT_EQUAL(chmod(directory, 0700), 0);
	CU_ASSERT_EQUAL(hk_state_directory(directory, NULL), 0);
	CU_ASSERT_EQUAL(hk_state_directory("/dev/null", NULL), -ENOTDIR);
	directory_remove();
}

/* The window against a plain list of what was accepted. */
static void replay_window_holds(void)
{
	static bool seen[40000];
	struct hk_replay replay = {0};
	__u64 seed = 12, top = 0, number;
	unsigned i;
	bool fresh;

	memset(seen, 0, sizeof(seen));
	for (i = 0; i < 100000; i++) {
		number = random_next(&seed) % (1 + i / 3 % sizeof(seen));
		if (random_next(&seed) % 4)
			number = top > 1500 ? top - random_next(&seed) % 1500 : number;
		fresh = number > top || i == 0 || (!seen[number] && top - number < HK_REPLAY_WINDOW);
		CU_ASSERT_EQUAL(hk_replay_fresh(&replay, number), fresh);
		if (!fresh)
			continue;
		hk_replay_take(&replay, number);
		seen[number] = true;
		top = number > top ? number : top;
	}
	hk_replay_take(&replay, ~0ull); /* the far end */
	CU_ASSERT(!hk_replay_fresh(&replay, ~0ull));
	for (i = 1; i < HK_REPLAY_WINDOW; i++) /* nothing near it was seen, whatever was before the leap */
		CU_ASSERT(hk_replay_fresh(&replay, ~0ull - i));
	CU_ASSERT(!hk_replay_fresh(&replay, ~0ull - i));
	CU_ASSERT(!hk_replay_fresh(&replay, 0));
}

int main(void)
{
	static const struct test tests[] = {
		{"restarts go on where they stopped", restarts_go_on},
		{"killed senders repeat nothing", killed_senders_repeat_nothing},
		{"first use is once", first_use_is_once},
		{"a first use without room on the disk is none", a_first_use_without_room_is_none},
		{"one sender at a time, and one for ever", one_sender_at_a_time},
		{"states are apart", states_are_apart},
		{"damage is refused", damage_is_refused},
		{"rollback is refused", rollback_is_refused},
		{"epochs never come back", epochs_never_come_back},
		{"IVs follow the clock", ivs_follow_the_clock},
		{"sequence numbers never wrap", sequence_numbers_never_wrap},
		{"directories are checked", directories_are_checked},
		{"the replay window holds", replay_window_holds},
		{0},
	};

	return run_tests_with(&crypto, "libcrypto", "nonce", tests);
}
