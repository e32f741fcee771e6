// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The key server's state against kill -9 and full disks: SQLite writes through a
 * layer of ours that kills the process, or fails, at a chosen write, half of it
 * done. The next process goes on with what is there. Whatever was given out is
 * told through a pipe, as a client would hear it; nothing may be told twice.
 */
#include <signal.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/unit/keyserver_help.h"

/* --- a disk that fails -------------------------------------------------------------------------- */

static struct {
	sqlite3_vfs vfs, *real;
	long writes;	 /* left until it happens; negative: never */
	bool kill, full; /* what happens; `full` goes on until it is reset */
	long failed;
} disk;

struct file {
	sqlite3_file base;
	sqlite3_file *real;
};

static sqlite3_file *real_of(sqlite3_file *file)
{
	return ((struct file *)file)->real;
}

/* True: this operation must fail. May not return. */
static bool strikes(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at)
{
	if (disk.writes < 0 || disk.writes-- > 0)
		return false;
	if (disk.kill) {
		if (size > 1) /* torn */
			(void)real_of(file)->pMethods->xWrite(real_of(file), bytes, size / 2, at);
		kill(getpid(), SIGKILL);
	}
	disk.writes = 0;
	disk.failed++;
	return true;
}

static int file_close(sqlite3_file *file)
{
	int code = real_of(file)->pMethods->xClose(real_of(file));

	sqlite3_free(real_of(file));
	return code;
}

static int file_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 at)
{
	return real_of(file)->pMethods->xRead(real_of(file), bytes, size, at);
}

static int file_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at)
{
	if (strikes(file, bytes, size, at))
		return SQLITE_FULL;
	return real_of(file)->pMethods->xWrite(real_of(file), bytes, size, at);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	if (strikes(file, NULL, 0, 0))
		return SQLITE_IOERR_TRUNCATE;
	return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

/* The kernel keeps what was written when a process dies: no need to wait for a disk. */
static int file_sync(sqlite3_file *file, int flags)
{
	(void)flags;
	return strikes(file, NULL, 0, 0) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_reserved(sqlite3_file *file, int *result)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), result);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int file_sector(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_traits(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	static const sqlite3_io_methods methods = {.iVersion = 1,
		.xClose = file_close,
		.xRead = file_read,
		.xWrite = file_write,
		.xTruncate = file_truncate,
		.xSync = file_sync,
		.xFileSize = file_size,
		.xLock = file_lock,
		.xUnlock = file_unlock,
		.xCheckReservedLock = file_reserved,
		.xFileControl = file_control,
		.xSectorSize = file_sector,
		.xDeviceCharacteristics = file_traits};
	struct file *ours = (struct file *)file;
	int code;

	(void)vfs;
	ours->base.pMethods = NULL;
	ours->real = sqlite3_malloc(disk.real->szOsFile);
	if (!ours->real)
		return SQLITE_NOMEM;
	memset(ours->real, 0, (size_t)disk.real->szOsFile);
	code = disk.real->xOpen(disk.real, name, ours->real, flags, out);
	if (code == SQLITE_OK)
		ours->base.pMethods = &methods;
	else
		sqlite3_free(ours->real);
	return code;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	(void)vfs, (void)sync;
	if (strikes(NULL, NULL, 0, 0))
		return SQLITE_IOERR_DELETE;
	return disk.real->xDelete(disk.real, name, 0);
}

static void disk_use(void)
{
	disk.real = sqlite3_vfs_find(NULL);
	disk.vfs = *disk.real;
	disk.vfs.zName = "failing";
	disk.vfs.szOsFile = sizeof(struct file);
	disk.vfs.pNext = NULL;
	disk.vfs.xOpen = disk_open;
	disk.vfs.xDelete = disk_delete;
	disk.writes = -1;
	sqlite3_vfs_register(&disk.vfs, 1);
}

/* --- what a life of the server tells --------------------------------------------------------------- */

/* Shared with the parent; a process writes a row when it has told it. */
struct told {
	unsigned count;
	struct row {
		bool is_key;
		__u8 host;
		__u32 generation, spi;
		__u8 key[8]; /* what boxes would know the generation by */
	} rows[60000];
};

static struct told *told;

static void tell(const struct row *row)
{
	if (told->count < sizeof(told->rows) / sizeof(told->rows[0]))
		told->rows[told->count++] = *row;
}

static void tell_generations(void)
{
	unsigned i, j;

	for (i = 0; i < 3; i++)
		for (j = 0; j < HK_KS_GENERATIONS; j++) {
			const struct hk_ks_generation *generation = &ks.domains[0].receivers[i].rows[j];
			struct row row = {
				.is_key = true, .host = (__u8)i, .generation = generation->generation};

			memcpy(row.key, generation->enc, sizeof(row.key));
			if (generation->generation)
				tell(&row);
		}
}

/* Of a pair the second in its context, which is what tells two of them apart. */
static void tell_spis(unsigned count)
{
	struct row row = {.is_key = false};
	__u64 context = 0;
	unsigned i;

	for (i = 0; i < count; i++) {
		row.host = (__u8)(i % 3);
		if (!hk_ks_current(&ks, 0, row.host))
			continue;
		row.generation = hk_ks_current(&ks, 0, row.host)->generation;
		if (!hk_ks_allocate(&ks, 0, row.host, (i + 1) % 3, &row.spi, &context, &error)) {
			row.spi = context ? (__u32)context : row.spi;
			tell(&row);
		}
	}
}

/* From start to end: some seconds of ticks, generations and SPIs. The clock is the test's. */
static void live(__s64 clock)
{
	unsigned second;

	memset(&ks, 0, sizeof(ks));
	ks.config = &config;
	if (hk_ks_store_open(&ks.store, directory, true, &error) || hk_ks_start(&ks, &error))
		return;
	ks.started = clock - 1;
	for (second = 0; second < 3; second++) {
		ks.now = clock + second * 40;
		if (hk_ks_tick(&ks, &error))
			continue;
		tell_generations();
		tell_spis(3);
		ks.now++;
		tell_spis(6); /* three of them a second time */
	}
	hk_ks_stop(&ks);
	hk_ks_store_close(ks.store);
}

/* A life that ends at its nth write. True: it came to its own end before. */
static bool live_until(long writes, __s64 clock)
{
	int status;
	pid_t child = fork();

	if (!child) {
		disk.kill = true;
		disk.writes = writes;
		live(clock);
		_exit(0);
	}
	CU_ASSERT_FATAL(child > 0 && waitpid(child, &status, 0) == child);
	CU_ASSERT(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
	return WIFEXITED(status);
}

static int compare(const void *one, const void *other)
{
	return memcmp(one, other, sizeof(struct row));
}

/* No SPI twice; no generation with two keys. */
static void check_told(unsigned least)
{
	unsigned i, spis = 0, twice = 0, two_keys = 0;

	CU_ASSERT(told->count < sizeof(told->rows) / sizeof(told->rows[0]));
	qsort(told->rows, told->count, sizeof(told->rows[0]), compare);
	for (i = 0; i < told->count; i++) {
		const struct row *row = &told->rows[i], *last = i ? row - 1 : NULL;

		spis += !row->is_key;
		if (!last || last->is_key != row->is_key || last->host != row->host ||
			last->generation != row->generation)
			continue;
		if (row->is_key)
			two_keys += memcmp(last->key, row->key, sizeof(row->key)) != 0;
		else
			twice += last->spi == row->spi;
	}
	CU_ASSERT_EQUAL(twice, 0);
	CU_ASSERT_EQUAL(two_keys, 0);
	CU_ASSERT(spis >= least);
}

static void prepare(void)
{
	unsigned i;

	strcpy(directory, "/tmp/halfkey-unit-ks.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	for (i = 0; i < 3; i++)
		hosts[i].receiver = hk_address_v4((const __u8[4]){192, 0, 2, (__u8)(i + 1)});
	memset(told, 0, sizeof(*told));
}

static void clean_up(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* The clock stands still between lives, so that it is the disk alone that keeps SPIs apart. */
static void killed_at_every_write(void)
{
	__s64 clock = 1900000000;
	unsigned writes = 0, whole = 0;

	prepare();
	while (whole < 5) {
		if (live_until(writes++, clock))
			whole++;
		if (writes % 4 == 0)
			clock += 120; /* or there would be no SPIs any more: one a second */
	}
	CU_ASSERT(writes > 100); /* it was killed that often */
	check_told(500);
	clean_up();
}

static void killed_at_random(void)
{
	__s64 clock = 1900000000;
	__u64 seed = 20261121;
	unsigned round;

	prepare();
	for (round = 0; round < 200; round++) {
		(void)live_until((long)(random_next(&seed) % 300), clock);
		clock += (__s64)(random_next(&seed) % 300);
	}
	check_told(300);
	clean_up();
}

/* Contexts are numbers as SPIs are. */
static void pairs_killed_at_random(void)
{
	__s64 clock = 1900000000;
	__u64 seed = 20261122;
	unsigned round;

	domain.envelope = HK_ENVELOPE_EESP;
	domain.variant = 0;
	prepare();
	for (round = 0; round < 50; round++) {
		(void)live_until((long)(random_next(&seed) % 300), clock);
		clock += (__s64)(random_next(&seed) % 300);
	}
	check_told(50);
	clean_up();
	domain.envelope = HK_ENVELOPE_PSP;
	domain.variant = HK_PSP_SPLIT_256;
}

/* A full disk ends nothing: what is in force stays, nothing is given out, and then it goes on. */
static void disk_full(void)
{
	struct row row = {.is_key = false};
	unsigned i, given;
	__u32 generation;

	begin();
	memset(told, 0, sizeof(*told));
	for (i = 0; i < 10; i++, ks.now++)
		tell_spis(3);
	given = told->count;
	CU_ASSERT(given == 30);
	generation = hk_ks_current(&ks, 0, 0)->generation;
	for (i = 0; i < 20; i++) {
		disk.writes = i;
		ks.now += 7;
		(void)hk_ks_tick(&ks, &error);
		tell_spis(3);
		tell_generations();
	}
	CU_ASSERT(disk.failed > 20);
	disk.writes = 0;
	CU_ASSERT(hk_ks_allocate(&ks, 0, 0, 1, &row.spi, NULL, &error) < 0);
	CU_ASSERT_PTR_NOT_NULL(hk_ks_current(&ks, 0, 0)); /* still in force */
	disk.writes = -1;
	for (i = 0; i < 5; i++) {
		ks.now += 30;
		CU_ASSERT_EQUAL(hk_ks_tick(&ks, &error), 0);
		tell_spis(6);
		tell_generations();
	}
	CU_ASSERT(hk_ks_current(&ks, 0, 0)->generation > generation);
	again();
	ks.now = ks.started + 1000;
	tell_spis(6);
	check_told(given + 12);
	end();
}

int main(void)
{
	static const struct test tests[] = {
		{"killed at every write, it repeats nothing", killed_at_every_write},
		{"killed at random, it repeats nothing", killed_at_random},
		{"contexts of pairs neither", pairs_killed_at_random},
		{"a full disk ends nothing", disk_full},
		{0},
	};

	hk_log_init(HK_LOG_ERROR, "test");
	disk_use();
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return told == MAP_FAILED ? 1 : run_tests("keyserver_crash", tests);
}
