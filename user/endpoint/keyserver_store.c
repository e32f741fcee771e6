// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What must outlive the key server: generations with their keys, and which SPIs
 * were given out. SQLite with full synchronisation: what a call here returned
 * is on disk, after kill -9 and after a power cut. Deleted keys are overwritten
 * (secure_delete). Nothing here decides anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/base/text.h"
#include "user/endpoint/keyserver.h"

#define BUSY_MS 5000
#define VERSION 2 /* of the schema below */

struct hk_ks_store {
	sqlite3 *db;
	int lock;
	char path[600];
};

static const char schema[] =
	"PRAGMA journal_mode=DELETE; PRAGMA synchronous=EXTRA; PRAGMA secure_delete=ON;"
	"PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
	"BEGIN IMMEDIATE;"
	"CREATE TABLE IF NOT EXISTS generations(domain TEXT NOT NULL, host TEXT NOT NULL,"
	" generation INTEGER NOT NULL, slot INTEGER NOT NULL, state INTEGER NOT NULL,"
	" created INTEGER NOT NULL, activates INTEGER NOT NULL, ends INTEGER NOT NULL,"
	" enc BLOB, auth BLOB, reader BLOB,"
	" PRIMARY KEY(domain, host, generation));"
	"CREATE TABLE IF NOT EXISTS spis(domain TEXT NOT NULL, host TEXT NOT NULL,"
	" generation INTEGER NOT NULL, serial INTEGER NOT NULL, sender TEXT NOT NULL,"
	" PRIMARY KEY(domain, host, generation, serial)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS senders(domain TEXT NOT NULL, address TEXT NOT NULL,"
	" number INTEGER NOT NULL, PRIMARY KEY(domain, address), UNIQUE(domain, number));"
	"CREATE TABLE IF NOT EXISTS kinds(domain TEXT PRIMARY KEY, kind TEXT NOT NULL);"
	"CREATE TABLE IF NOT EXISTS orders(domain TEXT NOT NULL, host TEXT NOT NULL);"
	"PRAGMA user_version=2; COMMIT;";

static int failed(struct hk_ks_store *store, struct hk_error *error)
{
	return hk_error_set(error, EIO, "%s: %s", store->path, sqlite3_errmsg(store->db));
}

/* Prepares `sql` and binds by `types`: t text, i integer, b a key of 32 bytes. */
static sqlite3_stmt *prepare(struct hk_ks_store *store, const char *sql, const char *types, ...)
{
	sqlite3_stmt *statement = NULL;
	va_list values;
	int i, code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);

	va_start(values, types);
	for (i = 0; code == SQLITE_OK && types[i]; i++) {
		if (types[i] == 't')
			code = sqlite3_bind_text(
				statement, i + 1, va_arg(values, const char *), -1, SQLITE_TRANSIENT);
		else if (types[i] == 'i')
			code = sqlite3_bind_int64(statement, i + 1, va_arg(values, long long));
		else
			code = sqlite3_bind_blob(
				statement, i + 1, va_arg(values, const void *), 32, SQLITE_STATIC);
	}
	va_end(values);
	if (code == SQLITE_OK)
		return statement;
	sqlite3_finalize(statement);
	return NULL;
}

/* Runs a prepared statement without rows; rows changed, or negative errno. */
static int finish(struct hk_ks_store *store, sqlite3_stmt *statement, struct hk_error *error)
{
	int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;

	if (code != SQLITE_DONE) {
		failed(store, error);
		sqlite3_finalize(statement);
		return -EIO;
	}
	sqlite3_finalize(statement);
	return sqlite3_changes(store->db);
}

static int execute(struct hk_ks_store *store, const char *sql, struct hk_error *error)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(store, error);
}

/* Ends a transaction by what became of it. */
static int settle(struct hk_ks_store *store, int status, struct hk_error *error)
{
	if (!status)
		status = execute(store, "COMMIT", error);
	if (status)
		(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return status;
}

/* --- open ------------------------------------------------------------------------------------- */

static int check_private(const char *path, const struct stat *status, bool directory, struct hk_error *error)
{
	if (directory ? !S_ISDIR(status->st_mode) : !S_ISREG(status->st_mode))
		return hk_error_set(
			error, EINVAL, "%s: is no %s", path, directory ? "directory" : "regular file");
	if (status->st_uid != geteuid())
		return hk_error_set(error, EPERM, "%s: belongs to user %u, not to the key server's: chown it",
			path, status->st_uid);
	if (status->st_mode & 077)
		return hk_error_set(error, EPERM, "%s: mode %04o lets others at the keys: chmod %s it", path,
			status->st_mode & 07777, directory ? "700" : "600");
	return 0;
}

static int check_directory(const char *directory, struct hk_error *error)
{
	struct stat status;

	if (mkdir(directory, 0700) && errno != EEXIST)
		return hk_error_set(
			error, errno, "%s: cannot make the directory: %s", directory, strerror(errno));
	if (lstat(directory, &status))
		return hk_error_set(error, errno, "%s: %s", directory, strerror(errno));
	return check_private(directory, &status, true, error);
}

/* The file is made here, so that it never exists with another mode. */
static int check_file(const char *path, struct hk_error *error)
{
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600), code;
	struct stat status;

	if (fd < 0)
		return hk_error_set(error, errno, "%s: cannot be opened: %s", path, strerror(errno));
	code = fstat(fd, &status) ? -errno : check_private(path, &status, false, error);
	close(fd);
	return code;
}

static int take_lock(struct hk_ks_store *store, const char *directory, struct hk_error *error)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/lock", directory);
	store->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (store->lock < 0)
		return hk_error_set(error, errno, "%s: %s", path, strerror(errno));
	if (flock(store->lock, LOCK_EX | LOCK_NB))
		return hk_error_set(
			error, EBUSY, "%s: another key server runs on this state: stop it first", directory);
	return 0;
}

/* 0: new; the schema's number; or negative errno. What numbers mean differs by version. */
static int check_version(struct hk_ks_store *store, struct hk_error *error)
{
	sqlite3_stmt *statement = prepare(store, "PRAGMA user_version", "");
	int version =
		statement && sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int(statement, 0) : -1;
	int status = 0;

	if (version < 0)
		status = failed(store, error);
	else if (version != 0 && version != VERSION)
		status = hk_error_set(error, EINVAL,
			"%s: of another version (%d, not %d), and SPIs would come twice: begin with an empty "
			"state "
			"directory, and draw new keys",
			store->path, version, VERSION);
	sqlite3_finalize(statement);
	return status;
}

static int open_db(struct hk_ks_store *store, struct hk_error *error)
{
	int code =
		sqlite3_open_v2(store->path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, NULL);

	if (code != SQLITE_OK)
		return failed(store, error);
	sqlite3_busy_timeout(store->db, BUSY_MS);
	code = check_version(store, error);
	return code ? code : execute(store, schema, error);
}

int hk_ks_store_open(struct hk_ks_store **out, const char *directory, bool server, struct hk_error *error)
{
	struct hk_ks_store *store = calloc(1, sizeof(*store));
	int status = 0;

	if (!store)
		return -ENOMEM;
	store->lock = -1;
	if (strlen(directory) > sizeof(store->path) - 32)
		status = hk_error_set(error, ENAMETOOLONG, "%.80s...: too long a path", directory);
	else
		snprintf(store->path, sizeof(store->path), "%s/keyserver.db", directory);
	if (!status)
		status = check_directory(directory, error);
	if (!status && server)
		status = take_lock(store, directory, error);
	if (!status)
		status = check_file(store->path, error);
	if (!status)
		status = open_db(store, error);
	if (status)
		hk_ks_store_close(store);
	else
		*out = store;
	return status;
}

void hk_ks_store_close(struct hk_ks_store *store)
{
	if (!store)
		return;
	sqlite3_close(store->db);
	if (store->lock >= 0)
		close(store->lock);
	free(store);
}

/* --- kinds ------------------------------------------------------------------------------------- */

static int compare_kind(
	struct hk_ks_store *store, const char *domain, const char *kind, struct hk_error *error)
{
	sqlite3_stmt *statement = prepare(store, "SELECT kind FROM kinds WHERE domain=?", "t", domain);
	int status = 0;

	if (!statement || sqlite3_step(statement) != SQLITE_ROW)
		status = failed(store, error);
	else if (strcmp((const char *)sqlite3_column_text(statement, 0), kind) != 0)
		status = hk_error_set(error, EINVAL,
			"domain '%s': its keys were drawn for \"%s\", not for \"%s\", and a master key has "
			"one use "
			"for life: give the domain a new name",
			domain, (const char *)sqlite3_column_text(statement, 0), kind);
	sqlite3_finalize(statement);
	return status;
}

int hk_ks_store_kind(struct hk_ks_store *store, const char *domain, const char *kind, struct hk_error *error)
{
	int done = finish(store,
		prepare(store,
			"INSERT OR REPLACE INTO kinds(domain, kind) SELECT ?1, ?2"
			" WHERE NOT EXISTS(SELECT 1 FROM generations WHERE domain=?1)",
			"tt", domain, kind),
		error);

	return done < 0 ? done : compare_kind(store, domain, kind, error);
}

/* --- generations ------------------------------------------------------------------------------ */

static bool key_column(sqlite3_stmt *statement, int column, __u8 out[32])
{
	const void *blob = sqlite3_column_blob(statement, column);

	if (!blob || sqlite3_column_bytes(statement, column) != 32)
		return false;
	memcpy(out, blob, 32);
	return true;
}

static int load_row(struct hk_ks_store *store, sqlite3_stmt *statement, unsigned *used,
	struct hk_ks_receiver *out, struct hk_error *error)
{
	struct hk_ks_generation *row;

	if (*used == HK_KS_GENERATIONS)
		return hk_error_set(
			error, EUCLEAN, "%s: more generations of a receiver than there can be", store->path);
	row = &out->rows[(*used)++];
	row->generation = (__u32)sqlite3_column_int64(statement, 0);
	row->slot = (__u8)sqlite3_column_int(statement, 1);
	row->state = (__u8)sqlite3_column_int(statement, 2);
	row->created = sqlite3_column_int64(statement, 3);
	row->activates = sqlite3_column_int64(statement, 4);
	row->ends = sqlite3_column_int64(statement, 5);
	if (!row->generation || row->slot > 3 || row->state >= HK_KS_RETIRED ||
		!key_column(statement, 6, row->enc) || !key_column(statement, 7, row->auth) ||
		!key_column(statement, 8, row->reader))
		return hk_error_set(
			error, EUCLEAN, "%s: generation %u is damaged", store->path, row->generation);
	return 0;
}

int hk_ks_store_load(struct hk_ks_store *store, const char *domain, const char *host,
	struct hk_ks_receiver *out, struct hk_error *error)
{
	sqlite3_stmt *statement = prepare(store,
		"SELECT generation, slot, state, created, activates, ends, enc, auth, reader FROM generations"
		" WHERE domain=? AND host=? AND state<3 ORDER BY generation",
		"tt", domain, host);
	unsigned used = 0;
	int code, status = 0;

	if (!statement)
		return failed(store, error);
	memset(out, 0, sizeof(*out));
	while (!status && (code = sqlite3_step(statement)) == SQLITE_ROW)
		status = load_row(store, statement, &used, out, error);
	if (!status && code != SQLITE_DONE)
		status = failed(store, error);
	sqlite3_finalize(statement);
	statement = status ? NULL
			   : prepare(store,
				     "SELECT coalesce(max(generation), 0) FROM generations WHERE domain=? "
				     "AND host=?",
				     "tt", domain, host);
	if (!status && (!statement || sqlite3_step(statement) != SQLITE_ROW))
		status = failed(store, error);
	if (!status)
		out->newest = (__u32)sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return status;
}

int hk_ks_store_add(struct hk_ks_store *store, const char *domain, const char *host,
	const struct hk_ks_generation *row, struct hk_error *error)
{
	int done = finish(store,
		prepare(store,
			"INSERT INTO generations(domain, host, generation, slot, state, created, activates, "
			"ends,"
			" enc, auth, reader) VALUES(?,?,?,?,?,?,?,?,?,?,?)",
			"ttiiiiiibbb", domain, host, (long long)row->generation, (long long)row->slot,
			(long long)row->state, (long long)row->created, (long long)row->activates,
			(long long)row->ends, row->enc, row->auth, row->reader),
		error);

	return done < 0 ? done : 0;
}

static int set_state(struct hk_ks_store *store, const char *domain, const char *host, __u32 generation,
	unsigned state, __s64 activates, __s64 ends, struct hk_error *error)
{
	int done = finish(store,
		prepare(store,
			"UPDATE generations SET state=?4, activates=CASE WHEN ?5 THEN ?5 ELSE activates END, "
			"ends=?6"
			" WHERE domain=?1 AND host=?2 AND generation=?3",
			"ttiiii", domain, host, (long long)generation, (long long)state, (long long)activates,
			(long long)ends),
		error);

	return done < 0	   ? done
	       : done == 1 ? 0
			   : hk_error_set(error, EUCLEAN, "%s: generation %u is not there", store->path,
				     generation);
}

int hk_ks_store_activate(struct hk_ks_store *store, const char *domain, const char *host, __u32 from,
	__u32 to, __s64 now, __s64 ends, struct hk_error *error)
{
	int status = execute(store, "BEGIN IMMEDIATE", error);

	if (status)
		return status;
	if (from)
		status = set_state(store, domain, host, from, HK_KS_PREVIOUS, 0, ends, error);
	if (!status)
		status = set_state(store, domain, host, to, HK_KS_CURRENT, now, 0, error);
	return settle(store, status, error);
}

int hk_ks_store_retire(struct hk_ks_store *store, const char *domain, const char *host, __u32 generation,
	struct hk_error *error)
{
	int status = execute(store, "BEGIN IMMEDIATE", error), done;

	if (status)
		return status;
	done = finish(store,
		prepare(store,
			"UPDATE generations SET state=3, enc=NULL, auth=NULL, reader=NULL"
			" WHERE domain=? AND host=? AND generation=?",
			"tti", domain, host, (long long)generation),
		error);
	status = done < 0 ? done : 0;
	if (!status) { /* the numbers of a generation without keys mean nothing any more */
		done = finish(store,
			prepare(store, "DELETE FROM spis WHERE domain=? AND host=? AND generation=?", "tti",
				domain, host, (long long)generation),
			error);
		status = done < 0 ? done : 0;
	}
	return settle(store, status, error);
}

/* --- SPIs ------------------------------------------------------------------------------------- */

/* The table's key is what keeps a serial from being given twice. */
int hk_ks_store_allocate(struct hk_ks_store *store, const char *domain, const char *host, __u32 generation,
	const char *sender, __u64 serial, struct hk_error *error)
{
	int done = finish(store,
		prepare(store,
			"INSERT OR IGNORE INTO spis(domain, host, generation, serial, sender)"
			" SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS(SELECT 1 FROM generations"
			" WHERE domain=?1 AND host=?2 AND generation=?3 AND state=1)",
			"ttiit", domain, host, (long long)generation, (long long)serial, sender),
		error);

	return done < 0 ? done : done == 1 ? 0 : -EAGAIN;
}

int hk_ks_store_allocations(struct hk_ks_store *store, const char *domain, const char *host, __u32 generation,
	void (*row)(void *context, __u64 serial, const char *sender), void *context, struct hk_error *error)
{
	sqlite3_stmt *statement = prepare(store,
		"SELECT serial, sender FROM spis WHERE domain=? AND host=? AND generation=? ORDER BY serial",
		"tti", domain, host, (long long)generation);
	int code = SQLITE_ERROR;

	while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW)
		row(context, (__u64)sqlite3_column_int64(statement, 0),
			(const char *)sqlite3_column_text(statement, 1));
	sqlite3_finalize(statement);
	return code == SQLITE_DONE ? 0 : failed(store, error);
}

int hk_ks_store_count(struct hk_ks_store *store, const char *domain, const char *host, __u32 generation,
	__u64 *count, struct hk_error *error)
{
	sqlite3_stmt *statement =
		prepare(store, "SELECT count(*) FROM spis WHERE domain=? AND host=? AND generation=?", "tti",
			domain, host, (long long)generation);
	int status = 0;

	if (!statement || sqlite3_step(statement) != SQLITE_ROW)
		status = failed(store, error);
	else
		*count = (__u64)sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return status;
}

/* --- senders' numbers -------------------------------------------------------------------------- */

static int read_number(struct hk_ks_store *store, const char *domain, const char *address, __u32 *number,
	struct hk_error *error)
{
	sqlite3_stmt *statement = prepare(
		store, "SELECT number FROM senders WHERE domain=? AND address=?", "tt", domain, address);
	int code = statement ? sqlite3_step(statement) : SQLITE_ERROR, status = 0;

	*number = code == SQLITE_ROW ? (__u32)sqlite3_column_int64(statement, 0) : 0;
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		status = failed(store, error);
	sqlite3_finalize(statement);
	return status;
}

/* The lowest that is free. */
static int take_number(struct hk_ks_store *store, const char *domain, const char *address, __u32 most,
	struct hk_error *error)
{
	return finish(store,
		prepare(store,
			"INSERT INTO senders(domain, address, number) SELECT ?1, ?2, min(free) FROM"
			" (SELECT 1 AS free UNION SELECT number + 1 FROM senders WHERE domain=?1)"
			" WHERE free<=?3 AND free NOT IN (SELECT number FROM senders WHERE domain=?1)"
			" HAVING min(free) NOT NULL",
			"tti", domain, address, (long long)most),
		error);
}

/* One of an address that is gone, with all SPIs that were given to it. */
static int free_number(struct hk_ks_store *store, const char *domain,
	bool (*member)(const void *context, const char *address), const void *context, struct hk_error *error)
{
	sqlite3_stmt *statement = prepare(store,
		"SELECT address FROM senders WHERE domain=?1 AND number NOT IN"
		" (SELECT serial>>?2 FROM spis WHERE domain=?1) ORDER BY number",
		"ti", domain, (long long)HK_KS_SERIAL_SHIFT);
	char address[HK_ADDRESS_TEXT] = "";
	int code = SQLITE_ERROR, done;

	while (!address[0] && statement && (code = sqlite3_step(statement)) == SQLITE_ROW)
		if (!member(context, (const char *)sqlite3_column_text(statement, 0)))
			snprintf(address, sizeof(address), "%s",
				(const char *)sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return failed(store, error);
	if (!address[0])
		return hk_error_set(error, ENOSPC,
			"domain '%s': as many addresses as there can be have numbers in its SPIs or MKIDs: "
			"wait until SPIs of hosts that left are retired, or divide the domain",
			domain);
	done = finish(store,
		prepare(store, "DELETE FROM senders WHERE domain=? AND address=?", "tt", domain, address),
		error);
	return done < 0 ? done : 0;
}

int hk_ks_store_number(struct hk_ks_store *store, const char *domain, const char *address, __u32 most,
	bool (*member)(const void *context, const char *address), const void *context, __u32 *number,
	struct hk_error *error)
{
	int status = read_number(store, domain, address, number, error), done = 0;

	while (!status && !*number) {
		done = take_number(store, domain, address, most, error);
		if (done == 0)
			status = free_number(store, domain, member, context, error);
		else
			status = done < 0 ? done : read_number(store, domain, address, number, error);
	}
	return status;
}

/* --- orders ----------------------------------------------------------------------------------- */

int hk_ks_store_order(struct hk_ks_store *store, const char *domain, const char *host, struct hk_error *error)
{
	int done = finish(store,
		prepare(store, "INSERT INTO orders(domain, host) VALUES(?,?)", "tt", domain, host), error);

	return done < 0 ? done : 0;
}

int hk_ks_store_orders(struct hk_ks_store *store,
	void (*row)(void *context, const char *domain, const char *host), void *context,
	struct hk_error *error)
{
	int code = SQLITE_ERROR, status = execute(store, "BEGIN IMMEDIATE", error);
	sqlite3_stmt *statement = status ? NULL : prepare(store, "SELECT domain, host FROM orders", "");

	if (status)
		return status;
	while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW)
		row(context, (const char *)sqlite3_column_text(statement, 0),
			(const char *)sqlite3_column_text(statement, 1));
	sqlite3_finalize(statement);
	if (code != SQLITE_DONE)
		status = failed(store, error);
	return settle(store, status ? status : execute(store, "DELETE FROM orders", error), error);
}
