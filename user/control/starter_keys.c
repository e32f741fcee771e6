// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Directories of key files (`keys-dir`) and key logs that grow, watched by the
 * starter, which has the right to open; the inspector gets a descriptor and says
 * whether it took what is in it. One file after the other; none while a reload is under way or no
 * inspector is there. What it took is what the next inspector begins with.
 */
#include "user/control/starter_state.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "user/base/log.h"

#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB)
/* Who writes a key log keeps it open: each line is news. Other files are whole when they are closed. */
#define LOG_EVENTS (IN_MODIFY | IN_CLOSE_WRITE)
/* One that was moved away comes again under its name, as another file. */
#define LOG_COMES (IN_CREATE | IN_MOVED_TO)

/* Read from the kernel, not yet looked at. */
struct hk_starter_events {
	struct inotify_event now;
	char name[NAME_MAX + 1]; /* of `now` */
	unsigned domain;	 /* the next one that `now` may tell something of */
	size_t size, at;
	char bytes[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)]
		__attribute__((aligned(__alignof__(struct inotify_event))));
};

static int watch_add(
	const struct hk_starter *starter, const struct hk_config *config, const char *name, __u32 events)
{
	char path[PATH_MAX];
	int length = name[0] == '/' ? snprintf(path, sizeof(path), "%s", name)
				    : snprintf(path, sizeof(path), "%s/%s", config->directory, name);

	if (length < 0 || (size_t)length >= sizeof(path))
		return -ENAMETOOLONG;
	/* of two domains with one directory, what both wait for */
	length = inotify_add_watch(starter->watch, path, events | IN_MASK_ADD);
	return length < 0 ? -errno : length;
}

static int watch_directory(const struct hk_starter *starter, const struct hk_config *config,
	const struct hk_domain_config *domain)
{
	__u32 events = EVENTS | (domain->envelope == HK_ENVELOPE_TLS ? LOG_EVENTS : 0);

	return domain->keys_dir ? watch_add(starter, config, domain->keys_dir, events | IN_ONLYDIR) : -ENOENT;
}

static bool has_log(const struct hk_domain_config *domain)
{
	return domain->envelope == HK_ENVELOPE_TLS && domain->keys;
}

static int watch_log(const struct hk_starter *starter, const struct hk_config *config,
	const struct hk_domain_config *domain)
{
	return has_log(domain) ? watch_add(starter, config, domain->keys, LOG_EVENTS) : -ENOENT;
}

/* The directory that the log lies in. */
static int watch_log_home(const struct hk_starter *starter, const struct hk_config *config,
	const struct hk_domain_config *domain)
{
	const char *slash = has_log(domain) ? strrchr(domain->keys, '/') : NULL;
	char path[PATH_MAX] = ".";
	size_t length = slash ? (size_t)(slash - domain->keys) + 1 : 0;

	if (!has_log(domain) || length >= sizeof(path))
		return -ENOENT;
	if (slash)
		snprintf(path, sizeof(path), "%.*s", (int)length, domain->keys);
	return watch_add(starter, config, path, LOG_COMES | IN_ONLYDIR);
}

static int watch_open(struct hk_starter *starter, struct hk_error *error)
{
	if (starter->watch >= 0)
		return 0;
	starter->events = calloc(1, sizeof(*starter->events));
	starter->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return starter->events && starter->watch >= 0
		       ? 0
		       : hk_error_set(error, EMFILE, "keys-dir: inotify: %s", strerror(errno));
}

int hk_starter_keys_watch(struct hk_starter *starter, const struct hk_config *config, struct hk_error *error)
{
	const struct hk_domain_config *domain;
	unsigned i;
	int result;

	for (i = 0; i < config->domains_count; i++) {
		domain = &config->domains[i];
		if (!domain->keys_dir && !has_log(domain))
			continue;
		if (watch_open(starter, error))
			return -EMFILE;
		watch_log_home(starter, config, domain);
		watch_log(starter, config, domain); /* one that is not there is refused when it is opened */
		result = domain->keys_dir ? watch_directory(starter, config, domain) : 0;
		if (result < 0)
			return hk_error_set(error, -result, "keys-dir %s: cannot be watched: %s",
				domain->keys_dir, strerror(-result));
	}
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/*
 * What an event is to a domain: the name of a file in its keys-dir, "": its key log, NULL: nothing.
 * Adding a watch again gives its number: so nothing is kept that could go stale.
 */
static const char *meaning(const struct hk_starter *starter, const struct hk_domain_config *domain)
{
	const struct inotify_event *event = &starter->events->now;
	const char *name = starter->events->name;
	__u32 files = EVENTS | (domain->envelope == HK_ENVELOPE_TLS ? LOG_EVENTS : 0);

	if (event->mask & IN_IGNORED)
		return NULL;
	if (!name[0])
		return watch_log(starter, starter->config, domain) == event->wd ? name : NULL;
	if (event->mask & files && hk_files_is_key_name(name) &&
		watch_directory(starter, starter->config, domain) == event->wd)
		return name;
	if (event->mask & LOG_COMES && has_log(domain) && strcmp(name, base_name(domain->keys)) == 0 &&
		watch_log_home(starter, starter->config, domain) == event->wd) {
		watch_log(starter, starter->config, domain);
		return "";
	}
	return NULL;
}

static void ask(struct hk_starter *starter)
{
	struct hk_request request = {.kind = starter->asked_fd < 0 ? HK_REQUEST_KEYS_GONE : HK_REQUEST_KEYS,
		.keys = starter->asked};

	starter->keys_asked = true;
	if (hk_request_send(starter->channel, &request, starter->asked_fd))
		hk_log_warn("%s: the inspector takes no keys", starter->asked.path);
}

static void fail(struct hk_starter *starter, const char *why)
{
	if (strcmp(why, starter->reload_error) !=
		0) /* a log with a bad line is read again with each new one */
		hk_log_error("%s: what it said before stays in force", why);
	snprintf(starter->reload_error, sizeof(starter->reload_error), "%s", why);
	starter->reload_failures++;
	hk_starter_say_status(starter);
}

static void asked_forget(struct hk_starter *starter)
{
	if (starter->asked_fd >= 0)
		close(starter->asked_fd);
	starter->asked_fd = -1;
	starter->asked.path[0] = '\0';
	starter->keys_asked = false;
}

/* `name` in keys-dir; "": the domain's key log. */
static bool name_asked(struct hk_starter *starter, const struct hk_domain_config *domain, const char *name)
{
	size_t room = sizeof(starter->asked.path);
	int length = name[0] ? snprintf(starter->asked.path, room, "%s/%s", domain->keys_dir, name)
			     : snprintf(starter->asked.path, room, "%s", domain->keys);

	if (length >= 0 && (size_t)length < room)
		return true;
	starter->asked.path[0] = '\0';
	return false;
}

static void look(struct hk_starter *starter, const struct hk_domain_config *domain, const char *name)
{
	struct hk_files files = {0};
	struct hk_error error = {0};
	int code;

	if (!name_asked(starter, domain, name))
		return;
	snprintf(starter->asked.domain, sizeof(starter->asked.domain), "%s", domain->name);
	code = hk_files_open(&files, HK_FILE_KEYS, starter->config->directory, starter->asked.path, &error);
	if (!code)
		starter->asked_fd = dup(files.rows[0].fd);
	hk_files_close(&files);
	if (code && code != -ENOENT) {
		fail(starter, error.text);
		asked_forget(starter);
		return;
	}
	ask(starter);
}

static bool event_next(struct hk_starter *starter)
{
	struct hk_starter_events *events = starter->events;
	ssize_t got;

	if (events->at >= events->size) {
		got = read(starter->watch, events->bytes, sizeof(events->bytes));
		events->size = got > 0 ? (size_t)got : 0;
		events->at = 0;
	}
	if (events->size - events->at < sizeof(events->now))
		return false;
	memcpy(&events->now, events->bytes + events->at, sizeof(events->now));
	snprintf(events->name, sizeof(events->name), "%.*s", (int)events->now.len,
		events->bytes + events->at + sizeof(events->now));
	events->at += sizeof(events->now) + events->now.len;
	events->domain = 0;
	if (events->now.mask & IN_Q_OVERFLOW) {
		hk_log_warn("keys-dir: too much happened at once: all files are read again");
		starter->reload_wanted = true;
	}
	return true;
}

/* The event's next domain; one file can be that of several. False: there is none any more. */
static bool event_serve(struct hk_starter *starter)
{
	const struct hk_domain_config *domain;
	const char *name;

	while (starter->events->domain < starter->config->domains_count) {
		domain = &starter->config->domains[starter->events->domain++];
		name = meaning(starter, domain);
		if (name) {
			look(starter, domain, name);
			return true;
		}
	}
	return false;
}

void hk_starter_keys_serve(struct hk_starter *starter)
{
	if (starter->watch < 0)
		return;
	while (!starter->keys_asked && !starter->reload_deadline_ns && !starter->reload_wanted &&
		starter->child == HK_CHILD_READY) {
		if (starter->asked.path[0])
			ask(starter); /* the inspector died over the last time */
		else if (!event_serve(starter) && !event_next(starter))
			return;
	}
}

void hk_starter_keys_taken(struct hk_starter *starter, const struct hk_request_answer *answer)
{
	int fd = starter->asked_fd;

	if (!starter->keys_asked)
		return;
	if (answer->code) {
		fail(starter, answer->text);
	} else {
		hk_files_drop(&starter->files, starter->asked.path);
		starter->asked_fd = -1;
		if (fd >= 0 && hk_files_add(&starter->files, HK_FILE_KEYS, starter->asked.path, fd))
			hk_log_error("%s: out of memory", starter->asked.path);
	}
	asked_forget(starter);
}

void hk_starter_keys_end(struct hk_starter *starter)
{
	asked_forget(starter);
	if (starter->watch >= 0)
		close(starter->watch);
	free(starter->events);
}
