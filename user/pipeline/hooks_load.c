// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loads a hook's code: see hooks_load.h.
 *
 * A shared object is copied into a sealed memory file and loaded from there:
 * the inspector may lack the right to open the file again, a file overwritten
 * in place would change code under running threads, and the loader takes two
 * files of one inode for the same.
 */
#include "user/pipeline/hooks_load.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/hooks/builtin.h"

#define OBJECT_SIZE_MAX (64u << 20)

struct builtin {
	const char *name;
	const struct hk_hook *hook;
};

static const struct builtin builtins[] = {
#define HK_H(label, descriptor) {.name = label, .hook = &descriptor},
	HK_BUILTIN_HOOKS(HK_H)
#undef HK_H
		{.name = NULL},
};

static const struct hk_hook *find_builtin(const char *name)
{
	const struct builtin *row;

	for (row = builtins; row->name; row++)
		if (strcmp(row->name, name) == 0)
			return row->hook;
	return NULL;
}

static int unknown(const char *use, struct hk_error *error)
{
	char known[128] = "";
	const struct builtin *row;
	size_t used = 0;

	for (row = builtins; row->name && used < sizeof(known); row++)
		used += (size_t)snprintf(
			known + used, sizeof(known) - used, "%s%s", used ? ", " : "", row->name);
	return hk_error_set(error, ENOENT,
		"hook \"%s\" is not built in: use one of %s, or the path of a shared object with a '/' in it",
		use, known);
}

static int copy_bytes(int to, int from, off_t size)
{
	char block[65536];
	off_t at = 0;
	ssize_t got;

	while (at < size) {
		got = pread(from, block, sizeof(block), at);
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		if (write(to, block, (size_t)got) != got)
			return -EIO;
		at += got;
	}
	return 0;
}

/* A sealed copy of `fd` in memory, or negative errno. */
static int copy_object(int fd, off_t size)
{
	int copy = memfd_create("halfkey-hook", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int code;

	if (copy < 0)
		return -errno;
	code = copy_bytes(copy, fd, size);
	if (code) {
		close(copy);
		return code;
	}
	fcntl(copy, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	return copy;
}

/*
 * The loader also takes two objects of one name for the same, and descriptor
 * numbers come again: the number of slashes tells them apart.
 */
static void *load_descriptor(int fd)
{
	static unsigned loads;
	char name[256];
	unsigned slashes = 1 + __atomic_fetch_add(&loads, 1, __ATOMIC_RELAXED) % 200;
	int length = snprintf(name, sizeof(name), "/proc/self/fd");

	memset(name + length, '/', slashes);
	snprintf(name + length + slashes, sizeof(name) - (size_t)length - slashes, "%d", fd);
	return dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

static const char *load_failure(void)
{
	const char *text = dlerror();
	const char *colon = text ? strstr(text, ": ") : NULL;

	return colon ? colon + 2 : text ? text : "no reason given"; /* without our name for it */
}

static int load_object(
	struct hk_hook_code *out, const char *path, const struct hk_files *files, struct hk_error *error)
{
	int fd = hk_files_get(files, path), copy;
	struct stat status;

	if (fd < 0)
		return hk_error_set(error, -fd, "hook \"%s\": the file was not opened: check its path", path);
	if (fstat(fd, &status) || !S_ISREG(status.st_mode) || status.st_size > OBJECT_SIZE_MAX)
		return hk_error_set(error, EINVAL,
			"hook \"%s\" is no regular file of at most %u MiB: name a shared object", path,
			OBJECT_SIZE_MAX >> 20);
	copy = copy_object(fd, status.st_size);
	out->handle = load_descriptor(copy >= 0 ? copy : fd);
	if (copy >= 0)
		close(copy);
	if (!out->handle)
		return hk_error_set(error, ENOEXEC, "hook \"%s\" cannot be loaded: %s", path, load_failure());
	out->device = status.st_dev;
	out->inode = status.st_ino;
	out->size = (__u64)status.st_size;
	out->changed_ns = (__u64)status.st_mtim.tv_sec * 1000000000u + (__u64)status.st_mtim.tv_nsec;
	out->hook = dlsym(out->handle, "hk_hook");
	if (!out->hook)
		return hk_error_set(error, ENOEXEC,
			"hook \"%s\" has no symbol hk_hook: it is no Halfkey hook, see docs/hooks.md", path);
	return 0;
}

static int check_abi(const struct hk_hook *hook, const char *use, struct hk_error *error)
{
	if (hook->abi != HK_HOOK_ABI)
		return hk_error_set(error, EPROTO,
			"hook \"%s\" was built for hook ABI %u and this is %u: build it anew against "
			"halfkey/hook.h",
			use, hook->abi, HK_HOOK_ABI);
	if (hook->packet_size != sizeof(struct hk_hook_packet))
		return hk_error_set(error, EPROTO,
			"hook \"%s\" was built with packets of %u bytes and this has %zu: build it anew "
			"against "
			"halfkey/hook.h",
			use, hook->packet_size, sizeof(struct hk_hook_packet));
	if (!hook->name || !hook->create || !hook->process || !hook->destroy)
		return hk_error_set(error, EPROTO,
			"hook \"%s\" lacks its name, create, process or destroy: fill them in its hk_hook "
			"table",
			use);
	return 0;
}

int hk_hook_code_load(
	struct hk_hook_code *out, const char *use, const struct hk_files *files, struct hk_error *error)
{
	int code;

	memset(out, 0, sizeof(*out));
	if (strchr(use, '/')) {
		code = load_object(out, use, files, error);
	} else {
		out->hook = find_builtin(use);
		code = out->hook ? 0 : unknown(use, error);
	}
	if (!code && out->hook)
		code = check_abi(out->hook, use, error);
	if (code)
		hk_hook_code_unload(out);
	return code;
}

void hk_hook_code_unload(struct hk_hook_code *code)
{
	if (code->handle)
		dlclose(code->handle);
	memset(code, 0, sizeof(*code));
}

bool hk_hook_code_same(const struct hk_hook_code *a, const struct hk_hook_code *b)
{
	if (!a->handle || !b->handle)
		return a->hook == b->hook;
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->changed_ns == b->changed_ns;
}
