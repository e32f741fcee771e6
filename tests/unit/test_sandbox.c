// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The inspector's seccomp filter, each time over a child of its own: what an
 * inspector needs works, what it does not need is answered EPERM and counted,
 * and what only an intruder wants ends it. tests/net runs the whole daemon so.
 */
#include "tests/unit/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <halfkey/config.h>
#include "user/base/text.h"
#include "user/control/sandbox.h"

#define SKIPPED 77

/* Runs `body` under the filter in a child; its exit status, or -signal. */
static int under(unsigned mode, int (*body)(void))
{
	struct hk_error error = {""};
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || hk_sandbox_enter(mode, &error))
			_exit(SKIPPED);
		_exit(body());
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static bool works_here(void)
{
	static int filtered = -1;

	if (filtered < 0)
		filtered = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
	if (!filtered)
		skip_test("this kernel has no seccomp");
	return filtered;
}

/* --- what must work --- */

static void *thread(void *argument)
{
	prctl(PR_SET_NAME, "other", 0, 0, 0);
	*(int *)argument = 1;
	return NULL;
}

static int threads(void)
{
	pthread_t other;
	int ran = 0;

	if (pthread_create(&other, NULL, thread, &ran) || pthread_join(other, NULL))
		return 1;
	return ran == 1 && hk_sandbox_refused() == 0 ? 0 : 2;
}

static int files(void)
{
	char text[4096];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC), sealed;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 1;
	sealed = memfd_create("halfkey-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (sealed < 0 || write(sealed, "x", 1) != 1 || fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE))
		return 2;
	if (epoll_create1(EPOLL_CLOEXEC) < 0)
		return 3;
	return hk_sandbox_refused() == 0 ? 0 : 4;
}

static int memory(void)
{
	char *at = mmap(NULL, 1 << 16, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || mprotect(at, 1 << 16, PROT_READ | PROT_WRITE))
		return 1;
	*at = 1;
	if (mprotect(at, 1 << 16, PROT_READ | PROT_EXEC) || madvise(at, 1 << 16, MADV_DONTDUMP))
		return 2;
	free(malloc(1 << 24));
	return hk_sandbox_refused() == 0 ? 0 : 3;
}

static int maps(void)
{
	union bpf_attr attr = {0};

	attr.map_fd = (__u32)-1; /* EBADF: the call itself was let through */
	if (syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr)) != -1 || errno != EBADF)
		return 1;
	return hk_sandbox_refused() == 0 ? 0 : 2;
}

static void what_it_needs(void)
{
	if (!works_here())
		return;
	CU_ASSERT_EQUAL(under(HK_SECCOMP_ON, threads), 0);
	CU_ASSERT_EQUAL(under(HK_SECCOMP_ON, files), 0);
	CU_ASSERT_EQUAL(under(HK_SECCOMP_ON, memory), 0);
	CU_ASSERT_EQUAL(under(HK_SECCOMP_ON, maps), 0);
}

/* --- what is refused --- */

static bool denied(long result)
{
	return result == -1 && errno == EPERM;
}

static int refusals(void)
{
	union bpf_attr attr = {0};
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned count = 0;

	count += denied(socket(AF_INET, SOCK_DGRAM, 0));
	count += denied(open("/tmp/halfkey-sandbox", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	count += denied(open("/proc/self/comm", O_RDWR | O_CLOEXEC));
	count += denied(mprotect(page, 4096, PROT_WRITE | PROT_EXEC));
	count += denied(
		mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
			? -1
			: 0);
	count += denied(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
	count += denied(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));
	count += denied(kill(getppid(), 0));
	count += denied(syscall(SYS_tgkill, getppid(), getppid(), 0));
	count += denied(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	count += denied(unlink("/tmp/halfkey-sandbox"));
	count += denied(fork());
	if (access("/tmp/halfkey-sandbox", F_OK) == 0)
		return 1;
	return count == 12 && hk_sandbox_refused() == 12 ? 0 : 2;
}

static int in_a_thread_refused(void)
{
	pthread_t other;
	int before = prctl(PR_SET_NAME, "first", 0, 0, 0);

	if (pthread_create(&other, NULL, (void *(*)(void *))(void *)refusals, NULL))
		return 1;
	pthread_join(other, NULL);
	return !before && hk_sandbox_refused() == 12 ? 0 : 2;
}

static void what_is_refused(void)
{
	if (!works_here())
		return;
	CU_ASSERT_EQUAL(under(HK_SECCOMP_ON, refusals), 0);
	CU_ASSERT_EQUAL(under(HK_SECCOMP_ON, in_a_thread_refused), 0);
}

/* --- what kills --- */

static int program(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return 0;
}

static int other_memory(void)
{
	ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
	return 0;
}

static int keyrings(void)
{
	syscall(SYS_keyctl, 0, 0, 0, 0, 0);
	return 0;
}

static void what_kills(void)
{
	if (!works_here())
		return;
	CU_ASSERT_EQUAL(under(HK_SECCOMP_ON, program), -SIGSYS);
	CU_ASSERT_EQUAL(under(HK_SECCOMP_ON, other_memory), -SIGSYS);
	CU_ASSERT_EQUAL(under(HK_SECCOMP_ON, keyrings), -SIGSYS);
}

/* A forbidden call that blocks SIGSYS first is the end, not a way around. */
static int blocked(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	socket(AF_INET, SOCK_DGRAM, 0);
	return 0;
}

static void no_way_around(void)
{
	if (works_here())
		CU_ASSERT_EQUAL(under(HK_SECCOMP_ON, blocked), -SIGSYS);
}

/* --- the other modes --- */

static int makes_a_socket(void)
{
	return socket(AF_UNIX, SOCK_DGRAM, 0) < 0;
}

static void modes(void)
{
	if (!works_here())
		return;
	CU_ASSERT_EQUAL(under(HK_SECCOMP_LOG, makes_a_socket), 0);
	CU_ASSERT_EQUAL(under(HK_SECCOMP_OFF, makes_a_socket), 0);
	CU_ASSERT_EQUAL(under(HK_SECCOMP_ON, makes_a_socket), 1);
	CU_ASSERT_EQUAL(under(HK_SECCOMP_LOG, program), 0);
	CU_ASSERT_STRING_EQUAL(hk_seccomp_name(HK_SECCOMP_ON), "on");
	CU_ASSERT_STRING_EQUAL(hk_seccomp_name(HK_SECCOMP_OFF), "off");
	CU_ASSERT_PTR_NULL(hk_seccomp_name(9));
}

int main(void)
{
	static const struct test tests[] = {
		{"threads, files, memory and maps of an inspector work under the filter", what_it_needs},
		{"what it does not need is answered EPERM and counted, in every thread", what_is_refused},
		{"what only an intruder wants ends the process", what_kills},
		{"blocking SIGSYS is no way around", no_way_around},
		{"log and off let calls through", modes},
		{0},
	};

	return run_tests("sandbox", tests);
}
