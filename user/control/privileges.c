// SPDX-License-Identifier: GPL-2.0-or-later
/* How an inspector gives up its rights: see privileges.h. */
#include "user/control/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int hk_privileges_find(const char *user, uid_t *uid, gid_t *gid, struct hk_error *error)
{
	const struct passwd *row;

	errno = 0;
	row = getpwnam(user);
	if (!row)
		return hk_error_set(error, errno ? errno : ENOENT,
			"user '%s': no such user: name one without rights", user);
	if (row->pw_uid == 0 || row->pw_gid == 0)
		return hk_error_set(error, EINVAL,
			"user '%s' is root or in its group: the inspector must be nobody of importance",
			user);
	*uid = row->pw_uid;
	*gid = row->pw_gid;
	return 0;
}

bool hk_privileges_lock_memory(void)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	int flags = MCL_CURRENT;

	/* without the raised limit, locking the future would make later allocations fail */
	if (setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0)
		flags |= MCL_FUTURE;
	return mlockall(flags) == 0;
}

/*
 * Derived keys and plaintext stand all over our memory: a debugger that root calls
 * takes none of it either. While we are root: /proc/self is root's afterwards.
 */
static void dump_nothing(void)
{
	int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return; /* no /proc; no_dump() is what the kernel goes by */
	(void)!write(fd, "0", 1);
	close(fd);
}

static int no_dump(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -errno;
	return 0;
}

static int bounding_drop(void)
{
	int cap;

	for (cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			return -errno;
	return 0;
}

static int capabilities_drop(void)
{
	cap_t none = cap_init();
	int err = 0;

	if (!none)
		return -ENOMEM;
	if (cap_set_proc(none) || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		err = -errno;
	cap_free(none);
	return err;
}

static bool any_left(uid_t uid)
{
	cap_t now = cap_get_proc(), none = cap_init();
	bool left = !now || !none || cap_compare(now, none) != 0;

	cap_free(now);
	cap_free(none);
	return left || getuid() != uid || geteuid() != uid || setuid(0) == 0;
}

static int ids_drop(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return -errno;
	return 0;
}

int hk_privileges_drop(uid_t uid, gid_t gid, struct hk_error *error)
{
	int err;

	dump_nothing();
	err = bounding_drop();
	if (!err)
		err = ids_drop(uid, gid);
	if (!err)
		err = capabilities_drop();
	if (!err && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		err = -errno;
	/* last: a change of user id sets it again */
	if (!err)
		err = no_dump();
	if (err)
		return hk_error_set(error, -err, "the inspector cannot drop its rights: %s", strerror(-err));
	if (any_left(uid))
		return hk_error_set(error, EPERM, "the inspector still has rights after it dropped them");
	return 0;
}
