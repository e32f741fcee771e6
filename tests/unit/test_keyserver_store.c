// SPDX-License-Identifier: GPL-2.0-or-later
/* The key server's state on disk: who may have it, what is not used, and what a transaction leaves. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "tests/unit/keyserver_help.h"

static char state_path[96];

static const char *in_state(const char *name)
{
	snprintf(state_path, sizeof(state_path), "%s/%s", directory, name);
	return state_path;
}

/* What another process may have done to the file while no server ran. */
static void change_file(const char *sql)
{
	sqlite3 *db = NULL;

	CU_ASSERT_EQUAL_FATAL(sqlite3_open(in_state("keyserver.db"), &db), SQLITE_OK);
	CU_ASSERT_EQUAL(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static long long ask_file(const char *sql)
{
	sqlite3_stmt *statement = NULL;
	long long answer = -1;
	sqlite3 *db = NULL;

	CU_ASSERT_EQUAL_FATAL(sqlite3_open(in_state("keyserver.db"), &db), SQLITE_OK);
	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
		sqlite3_step(statement) == SQLITE_ROW)
		answer = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return answer;
}

static int open_state(const char *where)
{
	struct hk_ks_store *store = NULL;
	int code;

	error = (struct hk_error){""};
	code = hk_ks_store_open(&store, where, true, &error);
	if (!code)
		hk_ks_store_close(store);
	return code;
}

#define REFUSED(code, where, words)                                \
	do {                                                       \
		CU_ASSERT_EQUAL(open_state(where), code);          \
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, words)); \
		if (!strstr(error.text, words))                    \
			printf("# it said: %s\n", error.text);     \
	} while (0)

/* Without a server on it. */
static void rest(void)
{
	begin();
	hk_ks_stop(&ks);
	hk_ks_store_close(ks.store);
	ks.store = NULL;
	CU_ASSERT_EQUAL(open_state(directory), 0);
}

static void clear(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	CU_ASSERT_EQUAL(system(command), 0);
}

static void nobody_else_gets_at_it(void)
{
	rest();
	CU_ASSERT_EQUAL(chmod(directory, 0710), 0);
	REFUSED(-EPERM, directory, "mode 0710 lets others at the keys: chmod 700 it");
	CU_ASSERT_EQUAL(chmod(directory, 0700), 0);
	CU_ASSERT_EQUAL(chmod(in_state("keyserver.db"), 0604), 0);
	REFUSED(-EPERM, directory, "keyserver.db: mode 0604 lets others at the keys: chmod 600 it");
	CU_ASSERT_EQUAL(chmod(in_state("keyserver.db"), 0600), 0);
	CU_ASSERT_EQUAL(open_state(directory), 0);
	if (geteuid() == 0) {
		CU_ASSERT_EQUAL(chown(in_state("keyserver.db"), 65534, 65534), 0);
		REFUSED(-EPERM, directory, "keyserver.db: belongs to user 65534");
		CU_ASSERT_EQUAL(chown(in_state("keyserver.db"), 0, 0), 0);
		CU_ASSERT_EQUAL(chown(directory, 65534, 65534), 0);
		REFUSED(-EPERM, directory, "belongs to user 65534");
		CU_ASSERT_EQUAL(chown(directory, 0, 0), 0);
	}
	CU_ASSERT_EQUAL(open_state(directory), 0);
	clear();
}

static void it_is_where_it_says(void)
{
	char where[700];

	rest();
	REFUSED(-ENOENT, in_state("none/state"), "cannot make the directory: No such file");
	REFUSED(-EINVAL, in_state("keyserver.db"), "keyserver.db: is no directory");
	CU_ASSERT_EQUAL(symlink(directory, in_state("link")), 0);
	REFUSED(-EINVAL, in_state("link"), "link: is no directory"); /* whoever laid it may move it */
	memset(where, 'a', sizeof(where) - 1);
	where[sizeof(where) - 1] = '\0';
	REFUSED(-ENAMETOOLONG, where, "too long a path");
	where[600 - 31] = '\0';
	REFUSED(-ENAMETOOLONG, where, "too long a path");
	CU_ASSERT_EQUAL(unlink(in_state("keyserver.db")), 0);
	CU_ASSERT_EQUAL(mkfifo(state_path, 0600), 0);
	REFUSED(-EINVAL, directory, "keyserver.db: is no regular file");
	CU_ASSERT_EQUAL(unlink(in_state("keyserver.db")), 0);
	CU_ASSERT_EQUAL(symlink("lock", state_path), 0);
	REFUSED(-ELOOP, directory, "keyserver.db: cannot be opened");
	clear();
	/* what is made here is private from its first moment, whatever the umask says */
	mode_t mask = umask(0);
	struct stat status;

	CU_ASSERT_EQUAL(open_state(directory), 0);
	umask(mask);
	CU_ASSERT_EQUAL(stat(directory, &status), 0);
	CU_ASSERT_EQUAL(status.st_mode, S_IFDIR | 0700);
	CU_ASSERT_EQUAL(stat(in_state("keyserver.db"), &status), 0);
	CU_ASSERT_EQUAL(status.st_mode, S_IFREG | 0600);
	CU_ASSERT_EQUAL(stat(in_state("lock"), &status), 0);
	CU_ASSERT_EQUAL(status.st_mode, S_IFREG | 0600);
	clear();
}

static void one_server_at_a_time(void)
{
	struct hk_ks_store *store = NULL;

	begin();
	REFUSED(-EBUSY, directory, "another key server runs on this state: stop it first");
	CU_ASSERT_EQUAL(hk_ks_store_open(&store, directory, false, &error), 0); /* who gives orders to it */
	hk_ks_store_close(store);
	end();
}

static void other_versions_are_left_alone(void)
{
	FILE *file;

	rest();
	change_file("PRAGMA user_version=1");
	REFUSED(-EINVAL, directory, "keyserver.db: of another version (1, not 2)");
	change_file("PRAGMA user_version=3");
	REFUSED(-EINVAL, directory, "of another version (3, not 2)");
	CU_ASSERT_EQUAL(ask_file("PRAGMA user_version"), 3);
	change_file("PRAGMA user_version=-1");
	CU_ASSERT_TRUE(open_state(directory) < 0);
	change_file("PRAGMA user_version=2");
	CU_ASSERT_EQUAL(open_state(directory), 0);
	file = fopen(in_state("keyserver.db"), "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs("this has the size of a header, and is no database of SQLite at all, as anyone can see who "
	      "reads it to its end.\n",
		file);
	fclose(file);
	REFUSED(-EIO, directory, "file is not a database");
	clear();
}

/* --- generations -------------------------------------------------------------------------------- */

static int load(const char *host, struct hk_ks_receiver *out)
{
	error = (struct hk_error){""};
	return hk_ks_store_load(ks.store, "d", host, out, &error);
}

/* Half a key is none, and a slot that no packet can name is no slot. */
static void damaged_generations_are_refused(void)
{
	static const char *const damages[] = {"generation=0", "slot=4", "slot=-1", "state=-1", "enc=NULL",
		"auth=NULL", "reader=NULL", "enc=substr(enc, 2)", "auth=auth || x'00'", "reader=zeroblob(0)"};
	struct hk_ks_receiver receiver;
	char sql[256];
	unsigned i;

	begin();
	change_file("CREATE TABLE good AS SELECT * FROM generations");
	for (i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		snprintf(sql, sizeof(sql), "UPDATE generations SET %s WHERE host='a'", damages[i]);
		change_file(sql);
		CU_ASSERT_EQUAL(load("a", &receiver), -EUCLEAN);
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "is damaged"));
		CU_ASSERT_EQUAL(load("b", &receiver), 0);
		change_file("DELETE FROM generations; INSERT INTO generations SELECT * FROM good");
		CU_ASSERT_EQUAL(load("a", &receiver), 0);
	}
	/* as many as there can be, and one more */
	for (i = 2; i <= HK_KS_GENERATIONS + 1; i++) {
		snprintf(sql, sizeof(sql),
			"INSERT INTO generations SELECT domain, host, generation + %u, slot, state, created, "
			"activates, "
			"ends, enc, auth, reader FROM good WHERE host='a'",
			i);
		change_file(sql);
		CU_ASSERT_EQUAL(load("a", &receiver), i <= HK_KS_GENERATIONS ? 0 : -EUCLEAN);
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "more generations of a receiver than there can be"));
	end();
}

/* An activation is whole or nothing: a receiver never has no current generation on disk. */
static void an_activation_is_whole(void)
{
	struct hk_ks_receiver receiver;
	struct hk_ks_generation next = {
		.state = HK_KS_NEXT, .slot = 3, .created = 55, .activates = 77, .ends = 99};
	__s64 began;
	__u32 first;

	begin();
	first = hk_ks_current(&ks, 0, 0)->generation;
	began = hk_ks_current(&ks, 0, 0)->activates;
	next.generation = first + 1;
	memset(next.enc, 0xe1, 32);
	memset(next.auth, 0xa1, 32);
	memset(next.reader, 0xc1, 32);
	CU_ASSERT_EQUAL(
		hk_ks_store_activate(ks.store, "d", "a", first, first + 9, ks.now, ks.now + 20, &error),
		-EUCLEAN);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "is not there"));
	CU_ASSERT_EQUAL(load("a", &receiver), 0);
	CU_ASSERT_EQUAL(receiver.rows[0].state, HK_KS_CURRENT);
	CU_ASSERT_EQUAL(receiver.rows[0].ends, 0);
	CU_ASSERT_EQUAL(hk_ks_store_add(ks.store, "d", "a", &next, &error), 0);
	CU_ASSERT_EQUAL(load("a", &receiver), 0);
	CU_ASSERT_EQUAL(memcmp(&receiver.rows[1], &next, sizeof(next)), 0);	   /* every member */
	CU_ASSERT_EQUAL(hk_ks_store_add(ks.store, "d", "a", &next, &error), -EIO); /* a number is used once */
	CU_ASSERT_EQUAL(hk_ks_store_activate(ks.store, "d", "a", first, first + 1, 1234, 5678, &error), 0);
	CU_ASSERT_EQUAL(load("a", &receiver), 0);
	CU_ASSERT_EQUAL(receiver.rows[0].state, HK_KS_PREVIOUS);
	CU_ASSERT_EQUAL(receiver.rows[0].ends, 5678);
	CU_ASSERT_EQUAL(receiver.rows[0].activates, began);
	CU_ASSERT_EQUAL(receiver.rows[1].state, HK_KS_CURRENT);
	CU_ASSERT_EQUAL(receiver.rows[1].activates, 1234);
	CU_ASSERT_EQUAL(receiver.rows[1].ends, 0);
	end();
}

struct given {
	__u64 serials[8];
	char senders[8];
	unsigned count;
};

static void note_given(void *context, __u64 serial, const char *sender)
{
	struct given *given = context;

	if (given->count < 8) {
		given->serials[given->count] = serial;
		given->senders[given->count] = sender[0];
	}
	given->count++;
}

static struct given given_out(__u32 generation)
{
	struct given given = {.count = 0};

	CU_ASSERT_EQUAL(
		hk_ks_store_allocations(ks.store, "d", "a", generation, note_given, &given, &error), 0);
	return given;
}

/* Keys of a generation that is over are on disk no more, nor who had which of its SPIs; its number is used.
 */
static void what_is_retired_is_gone(void)
{
	struct hk_ks_receiver receiver;
	struct given given;
	__u64 count = 99;
	__u32 used;

	begin();
	used = hk_ks_current(&ks, 0, 0)->generation;
	CU_ASSERT_EQUAL(hk_ks_current(&ks, 0, 1)->generation, used);
	CU_ASSERT_EQUAL(hk_ks_store_allocate(ks.store, "d", "a", used, "c", 7, &error), 0);
	CU_ASSERT_EQUAL(hk_ks_store_allocate(ks.store, "d", "a", used, "b", 5, &error), 0);
	CU_ASSERT_EQUAL(hk_ks_store_allocate(ks.store, "d", "b", used, "c", 5, &error), 0);
	CU_ASSERT_EQUAL(hk_ks_store_allocate(ks.store, "d", "a", used, "c", 5, &error), -EAGAIN);
	CU_ASSERT_EQUAL(hk_ks_store_allocate(ks.store, "d", "a", used + 1, "c", 8, &error), -EAGAIN);
	given = given_out(used);
	CU_ASSERT_EQUAL(given.count, 2);
	CU_ASSERT_EQUAL(given.serials[0], 5);
	CU_ASSERT_EQUAL(given.senders[0], 'b'); /* who came first has it */
	CU_ASSERT_EQUAL(given.serials[1], 7);
	CU_ASSERT_EQUAL(given.senders[1], 'c');
	CU_ASSERT_EQUAL(given_out(used + 1).count, 0);
	CU_ASSERT_EQUAL(hk_ks_store_count(ks.store, "d", "a", used, &count, &error), 0);
	CU_ASSERT_EQUAL(count, 2);
	CU_ASSERT_EQUAL(hk_ks_store_retire(ks.store, "d", "a", used, &error), 0);
	CU_ASSERT_EQUAL(given_out(used).count, 0);
	CU_ASSERT_EQUAL(hk_ks_store_count(ks.store, "d", "a", used, &count, &error), 0);
	CU_ASSERT_EQUAL(count, 0);
	CU_ASSERT_EQUAL(hk_ks_store_count(ks.store, "d", "b", used, &count, &error), 0);
	CU_ASSERT_EQUAL(count, 1);
	CU_ASSERT_EQUAL(ask_file("SELECT count(*) FROM generations WHERE host='a' AND coalesce(enc, auth, "
				 "reader) IS NULL"),
		1);
	CU_ASSERT_EQUAL(hk_ks_store_allocate(ks.store, "d", "a", used, "c", 9, &error), -EAGAIN);
	CU_ASSERT_EQUAL(load("a", &receiver), 0);
	CU_ASSERT_EQUAL(receiver.rows[0].generation, 0);
	CU_ASSERT_EQUAL(receiver.newest, used);
	CU_ASSERT_EQUAL(load("b", &receiver), 0);
	CU_ASSERT_EQUAL(receiver.rows[0].generation, used);
	end();
}

/* --- orders ------------------------------------------------------------------------------------- */

static void note_order(void *context, const char *name, const char *host)
{
	char *text = context;

	strcat(strcat(strcat(strcat(text, name), "/"), host), " ");
}

static void orders_are_taken_once(void)
{
	struct hk_ks_store *operator= NULL;
	char text[128] = "";

	begin();
	CU_ASSERT_EQUAL_FATAL(hk_ks_store_open(&operator, directory, false, &error), 0);
	CU_ASSERT_EQUAL(hk_ks_store_order(operator, "d", "a", &error), 0);
	CU_ASSERT_EQUAL(hk_ks_store_order(operator, "d", "*", &error), 0);
	hk_ks_store_close(operator);
	CU_ASSERT_EQUAL(hk_ks_store_orders(ks.store, note_order, text, &error), 0);
	CU_ASSERT_STRING_EQUAL(text, "d/a d/* ");
	CU_ASSERT_EQUAL(hk_ks_store_orders(ks.store, note_order, text, &error), 0);
	CU_ASSERT_STRING_EQUAL(text, "d/a d/* ");
	again();
	CU_ASSERT_EQUAL(hk_ks_store_orders(ks.store, note_order, text, &error), 0);
	CU_ASSERT_STRING_EQUAL(text, "d/a d/* ");
	end();
}

int main(void)
{
	static const struct test tests[] = {
		{"nobody else gets at it", nobody_else_gets_at_it},
		{"it is where it says, and private", it_is_where_it_says},
		{"one server at a time", one_server_at_a_time},
		{"other versions are left alone", other_versions_are_left_alone},
		{"damaged generations are refused", damaged_generations_are_refused},
		{"an activation is whole", an_activation_is_whole},
		{"what is retired is gone", what_is_retired_is_gone},
		{"orders are taken once", orders_are_taken_once},
		{0},
	};

	return run_tests("keyserver_store", tests);
}
