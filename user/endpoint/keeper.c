// SPDX-License-Identifier: GPL-2.0-or-later
/* Opens files for a tunnel without rights: see keeper.h. */
#include "user/endpoint/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/base/files.h"
#include "user/endpoint/statefile.h"

enum what { WHAT_CONFIG = 1, WHAT_KEYS, WHAT_STATE };

struct request {
	unsigned what;
	char name[64]; /* STATE */
};

struct reply {
	int status; /* 0: a descriptor comes with it */
	struct hk_error error;
};

struct hk_keeper {
	int socket;
	pid_t pid;
	struct hk_keeper_files files;
};

/* --- the keeper ---------------------------------------------------------------------------------- */

static int open_config(const struct hk_keeper *keeper, struct hk_error *error)
{
	const char *path = keeper->files.config;
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : -1;

	if (!path)
		return -EINVAL;
	return fd < 0 ? hk_error_set(error, errno, "%s: cannot be read: %s", path, strerror(errno)) : fd;
}

static int open_keys(const struct hk_keeper *keeper, struct hk_error *error)
{
	const char *path = keeper->files.keys;
	struct hk_files files = {0};
	int status = path ? hk_files_open(&files, HK_FILE_KEYS, ".", path, error) : -EINVAL;

	if (!status)
		status = dup(hk_files_get(&files, path));
	hk_files_close(&files);
	return status;
}

/* A plain name of a file that is there: no path leads out of the directory. */
static int open_state(const struct hk_keeper *keeper, const struct request *request)
{
	struct hk_state_place place = {.directory = keeper->files.state};

	if (!place.directory || !memchr(request->name, '\0', sizeof(request->name)) || !request->name[0] ||
		request->name[0] == '.' || strchr(request->name, '/'))
		return -EINVAL;
	return hk_state_file(&place, request->name);
}

static int serve_one(const struct hk_keeper *keeper, const struct request *request, struct hk_error *error)
{
	switch (request->what) {
	case WHAT_CONFIG: return open_config(keeper, error);
	case WHAT_KEYS: return open_keys(keeper, error);
	case WHAT_STATE: return open_state(keeper, request);
	default: return -EINVAL;
	}
}

static bool answer(int socket, int fd, const struct hk_error *error)
{
	struct reply reply = {.status = fd < 0 ? fd : 0, .error = *error};
	struct iovec vector = {&reply, sizeof(reply)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(reply);
}

/* Ends when the tunnel does, however that was: its end of the socket is closed then. */
static void serve(const struct hk_keeper *keeper)
{
	struct request request;
	bool going = true;
	int fd;

	while (going && recv(keeper->socket, &request, sizeof(request), 0) == (ssize_t)sizeof(request)) {
		struct hk_error error = {{0}};

		fd = serve_one(keeper, &request, &error);
		going = answer(keeper->socket, fd, &error);
		if (fd >= 0)
			close(fd);
	}
}

/* Signals are the tunnel's business. The user stays, what else root may do goes. */
static int give_up_rights(void)
{
	cap_t none = cap_init();
	int status = none && !cap_set_proc(none) && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
				     !prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
			     ? 0
			     : -EPERM;

	cap_free(none);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	(void)prctl(PR_SET_NAME, "halfkey-keeper", 0, 0, 0);
	return status;
}

int hk_keeper_start(struct hk_keeper **out, const struct hk_keeper_files *files, struct hk_error *error)
{
	struct hk_keeper *keeper = calloc(1, sizeof(*keeper));
	int ends[2], status;

	if (!keeper || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		free(keeper);
		return hk_error_set(error, errno, "no process to open files later: %s", strerror(errno));
	}
	keeper->files = *files;
	keeper->pid = fork();
	if (keeper->pid == 0) {
		close(ends[0]);
		keeper->socket = ends[1];
		if (!give_up_rights())
			serve(keeper);
		_exit(0);
	}
	status = keeper->pid < 0
			 ? hk_error_set(error, errno, "no process to open files later: %s", strerror(errno))
			 : 0;
	close(ends[1]);
	keeper->socket = ends[0];
	if (status)
		hk_keeper_stop(keeper);
	else
		*out = keeper;
	return status;
}

/* --- the tunnel ---------------------------------------------------------------------------------- */

static int ask(struct hk_keeper *keeper, const struct request *request, struct hk_error *error)
{
	struct reply reply = {0};
	struct iovec vector = {&reply, sizeof(reply)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr message = {.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	int fd;

	if (send(keeper->socket, request, sizeof(*request), MSG_NOSIGNAL) != (ssize_t)sizeof(*request) ||
		recvmsg(keeper->socket, &message, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(reply))
		return hk_error_set(error, EPIPE, "the process that opens files is gone: restart the tunnel");
	if (reply.status) {
		reply.error.text[sizeof(reply.error.text) - 1] = '\0';
		return hk_error_set(error, -reply.status, "%s", reply.error.text);
	}
	if (!CMSG_FIRSTHDR(&message) || control.header.cmsg_type != SCM_RIGHTS)
		return hk_error_set(error, EPIPE, "no descriptor came: too many open files?");
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

int hk_keeper_config(struct hk_keeper *keeper, struct hk_error *error)
{
	return ask(keeper, &(struct request){.what = WHAT_CONFIG}, error);
}

int hk_keeper_keys(struct hk_keeper *keeper, struct hk_error *error)
{
	return ask(keeper, &(struct request){.what = WHAT_KEYS}, error);
}

int hk_keeper_state(void *keeper, const char *name)
{
	struct request request = {.what = WHAT_STATE};

	if (strlen(name) >= sizeof(request.name))
		return -ENAMETOOLONG;
	memcpy(request.name, name, strlen(name));
	return ask(keeper, &request, NULL);
}

void hk_keeper_stop(struct hk_keeper *keeper)
{
	if (!keeper)
		return;
	close(keeper->socket);
	if (keeper->pid > 0)
		(void)waitpid(keeper->pid, NULL, 0);
	free(keeper);
}
