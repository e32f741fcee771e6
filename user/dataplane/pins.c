// SPDX-License-Identifier: GPL-2.0-or-later
/* The pin directory of an instance: see pins.h. */
#include "user/dataplane/pins.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "maps/layout.h"
#include "maps/settings.h"
#include "user/base/names.h"

#define BPFFS "/sys/fs/bpf"
#define TRIES 100 /* to make a directory that others take away */

static int bpffs_mount(struct hk_error *error)
{
	struct statfs fs;

	if (statfs(BPFFS, &fs) == 0 && fs.f_type == BPF_FS_MAGIC)
		return 0;
	if (mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700"))
		return hk_error_set(error, errno,
			"%s is no BPF file system and cannot be made one: %s: run "
			"`mount -t bpf bpf " BPFFS "`",
			BPFFS, strerror(errno));
	return 0;
}

/* The instance's directory and those above it; -ENOENT where somebody took one of these away meanwhile. */
static int directories_make(const struct hk_pins *pins, struct hk_error *error)
{
	char version[HK_PIN_PATH];
	const char *paths[] = {HK_PIN_ROOT, version, pins->directory};
	unsigned i;

	snprintf(version, sizeof(version), "%s/v%d", HK_PIN_ROOT, HK_MAPS_VERSION);
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (mkdir(paths[i], 0700) && errno != EEXIST)
			return hk_error_set(
				error, errno, "%s: cannot be made: %s", paths[i], strerror(errno));
	return 0;
}

/* Pins of another layout under the same name would be left behind, in force: refuse. */
static int versions_check(const char *instance, struct hk_error *error)
{
	char path[HK_PIN_PATH + 64], ours[16];
	struct dirent *entry;
	DIR *root = opendir(HK_PIN_ROOT);
	struct stat status;
	int err = 0;

	if (!root)
		return 0;
	snprintf(ours, sizeof(ours), "v%d", HK_MAPS_VERSION);
	while (!err && (entry = readdir(root))) {
		if (entry->d_name[0] != 'v' || strlen(entry->d_name) > 12 || strcmp(entry->d_name, ours) == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%.12s/%s", HK_PIN_ROOT, entry->d_name, instance);
		if (stat(path, &status) == 0)
			err = hk_error_set(error, EEXIST,
				"%s: pinned by a Halfkey with another map layout (this one has %s): remove "
				"it "
				"with that version's `halfkey detach -i %s`",
				path, ours, instance);
	}
	closedir(root);
	return err;
}

static int directory_lock(struct hk_pins *pins, unsigned wait_ms, struct hk_error *error)
{
	static const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
	unsigned waited = 0;

	pins->lock = open(pins->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pins->lock < 0)
		return errno == ENOENT
			       ? -ENOENT
			       : hk_error_set(error, errno, "%s: %s", pins->directory, strerror(errno));
	while (flock(pins->lock, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK || waited >= wait_ms) {
			hk_pins_close(pins);
			return hk_error_set(error, EBUSY,
				"%s: a halfkeyd runs with this instance: stop it first, "
				"or give this one another `instance`",
				pins->directory);
		}
		nanosleep(&pause, NULL);
		waited += 20;
	}
	return 0;
}

static int directory_name(struct hk_pins *pins, const char *instance, struct hk_error *error)
{
	int err = hk_instance_check(instance, error);

	if (!err)
		snprintf(pins->directory, sizeof(pins->directory), "%s/v%d/%s", HK_PIN_ROOT, HK_MAPS_VERSION,
			instance);
	return err;
}

int hk_pins_find(struct hk_pins *pins, const char *instance, unsigned wait_ms, struct hk_error *error)
{
	int err;

	pins->lock = -1;
	err = directory_name(pins, instance, error);
	return err ? err : directory_lock(pins, wait_ms, error);
}

int hk_pins_open(struct hk_pins *pins, const char *instance, unsigned wait_ms, struct hk_error *error)
{
	unsigned tries = 0;
	int err;

	pins->lock = -1;
	err = directory_name(pins, instance, error);
	if (!err)
		err = bpffs_mount(error);
	if (!err)
		err = versions_check(instance, error);
	if (err)
		return err;
	do { /* another instance that goes takes the upper directories along while nobody is in them */
		err = directories_make(pins, error);
		if (!err)
			err = directory_lock(pins, wait_ms, error);
	} while (err == -ENOENT && ++tries < TRIES);
	return err;
}

void hk_pins_close(struct hk_pins *pins)
{
	if (pins->lock >= 0)
		close(pins->lock);
	pins->lock = -1;
}

void hk_pins_path(const struct hk_pins *pins, const char *name, char path[HK_PIN_PATH])
{
	snprintf(path, HK_PIN_PATH, "%.200s/%.40s", pins->directory, name);
}

static int refuse(const char *path, const char *what, struct hk_error *error)
{
	return hk_error_set(error, EINVAL,
		"%s: pinned with another %s than this program uses: stop whatever uses it and run `halfkey "
		"detach`",
		path, what);
}

static int map_check(const char *path, const struct bpf_map *map, int fd, struct hk_error *error)
{
	struct bpf_map_info info = {0};
	__u32 length = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		return hk_error_set(error, errno, "%s: %s", path, strerror(errno));
	if (info.type != bpf_map__type(map))
		return refuse(path, "map type", error);
	if (info.key_size != bpf_map__key_size(map) || info.value_size != bpf_map__value_size(map))
		return refuse(path, "key or value size", error);
	if (info.max_entries != bpf_map__max_entries(map))
		return refuse(path, "number of entries", error);
	return 0;
}

/* The meaning of the values: settings say which layout wrote them; 0: nobody yet. */
static int settings_check(const char *path, const struct bpf_map *map, int fd, struct hk_error *error)
{
	struct hk_settings settings = {0};
	__u32 zero = 0;

	if (strcmp(bpf_map__name(map), "settings") != 0)
		return 0;
	if (bpf_map_lookup_elem(fd, &zero, &settings))
		return hk_error_set(error, errno, "%s: %s", path, strerror(errno));
	return settings.version && settings.version != HK_MAPS_VERSION ? refuse(path, "layout version", error)
								       : 0;
}

static int map_adopt(const struct hk_pins *pins, struct bpf_map *map, struct hk_error *error)
{
	char path[HK_PIN_PATH];
	int fd, err;

	hk_pins_path(pins, bpf_map__name(map), path);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return errno == ENOENT ? 0 : hk_error_set(error, errno, "%s: %s", path, strerror(errno));
	err = map_check(path, map, fd, error);
	if (!err)
		err = settings_check(path, map, fd, error);
	if (!err) {
		err = bpf_map__reuse_fd(map, fd);
		if (err)
			hk_error_set(error, -err, "%s: cannot be adopted: %s", path, strerror(-err));
	}
	close(fd);
	return err ? err : 1;
}

int hk_pins_adopt(const struct hk_pins *pins, struct bpf_object *object, struct hk_error *error)
{
	struct bpf_map *map;
	int adopted = 0, result;

	bpf_object__for_each_map(map, object)
	{
		result = map_adopt(pins, map, error);
		if (result < 0)
			return result;
		adopted += result;
	}
	return adopted;
}

int hk_pins_complete(const struct hk_pins *pins, struct bpf_object *object, struct hk_error *error)
{
	char path[HK_PIN_PATH];
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
	{
		hk_pins_path(pins, bpf_map__name(map), path);
		if (access(path, F_OK) == 0)
			continue;
		if (bpf_obj_pin(bpf_map__fd(map), path))
			return hk_error_set(error, errno, "%s: cannot be pinned: %s", path, strerror(errno));
	}
	return 0;
}

void hk_pins_remove(struct hk_pins *pins)
{
	char path[HK_PIN_PATH];
	struct dirent *entry;
	DIR *directory = opendir(pins->directory);

	while (directory && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		hk_pins_path(pins, entry->d_name, path);
		unlink(path);
	}
	if (directory)
		closedir(directory);
	rmdir(pins->directory);
	/* these two fail while another instance is there: as they should */
	snprintf(path, sizeof(path), "%s/v%d", HK_PIN_ROOT, HK_MAPS_VERSION);
	rmdir(path);
	rmdir(HK_PIN_ROOT);
	hk_pins_close(pins);
}
