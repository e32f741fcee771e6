// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lists, and what becomes of a refused call: see sandbox.h. The kernel
 * raises SIGSYS in the thread that made it; the handler notes its number,
 * answers EPERM, and the control thread says it later: a handler may not log.
 */
#include "user/control/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <termios.h>
#include <ucontext.h>
#include <unistd.h>

#include <halfkey/config.h>

#include "user/base/log.h"

#define CALLS_MAX 1024

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* names of mappings, which newer C libraries give */
#endif

static unsigned char refused[CALLS_MAX]; /* 1: to be said, 2: said */
static unsigned long long refused_count;

/* --- what an inspector does --- */

/* Whatever the arguments. */
static const int allowed[] = {
	/* descriptors that it has: files, sockets, rings, the control socket */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(write),
	SCMP_SYS(writev), SCMP_SYS(pwrite64), SCMP_SYS(close), SCMP_SYS(lseek), SCMP_SYS(ftruncate),
	SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(accept4),
	SCMP_SYS(getsockopt), SCMP_SYS(getsockname), SCMP_SYS(shutdown), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	/* looking at files: a hook's libraries, the time zone, the number of processors */
	SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
	SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
	SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getcwd),
	/* a sealed copy of a hook that a reload brings */
	SCMP_SYS(memfd_create),
	/* memory */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mlock),
	SCMP_SYS(mlock2), SCMP_SYS(munlock),
	/* threads */
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(set_tid_address),
	SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity), SCMP_SYS(getcpu),
	SCMP_SYS(membarrier), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(restart_syscall),
	/* signals of its own */
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
	/* time, chance, itself */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
	SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(getrandom), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getrlimit), SCMP_SYS(getrusage)};

/* Only where one argument is so: (argument & mask) == value. Rows of one call add up. */
static const struct {
	int call;
	unsigned argument;
	scmp_datum_t mask, value;
} allowed_if[] = {
	/* files are read, never written by path: outputs are descriptors from the starter */
	{SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND, O_RDONLY},
	{SCMP_SYS(open), 1, O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND, O_RDONLY},
	/* memory is never writable and executable at once */
	{SCMP_SYS(mmap), 2, PROT_WRITE | PROT_EXEC, PROT_NONE},
	{SCMP_SYS(mmap), 2, PROT_WRITE | PROT_EXEC, PROT_WRITE},
	{SCMP_SYS(mmap), 2, PROT_WRITE | PROT_EXEC, PROT_EXEC},
	{SCMP_SYS(mprotect), 2, PROT_WRITE | PROT_EXEC, PROT_NONE},
	{SCMP_SYS(mprotect), 2, PROT_WRITE | PROT_EXEC, PROT_WRITE},
	{SCMP_SYS(mprotect), 2, PROT_WRITE | PROT_EXEC, PROT_EXEC},
	/* threads, no processes */
	{SCMP_SYS(clone), 0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM},
	/* entries of the maps it holds: no new maps, programs or links */
	{SCMP_SYS(bpf), 0, ~0ull, BPF_MAP_LOOKUP_ELEM}, {SCMP_SYS(bpf), 0, ~0ull, BPF_MAP_UPDATE_ELEM},
	{SCMP_SYS(bpf), 0, ~0ull, BPF_MAP_DELETE_ELEM}, {SCMP_SYS(bpf), 0, ~0ull, BPF_MAP_GET_NEXT_KEY},
	{SCMP_SYS(fcntl), 1, ~0ull, F_GETFD}, {SCMP_SYS(fcntl), 1, ~0ull, F_SETFD},
	{SCMP_SYS(fcntl), 1, ~0ull, F_GETFL}, {SCMP_SYS(fcntl), 1, ~0ull, F_SETFL},
	{SCMP_SYS(fcntl), 1, ~0ull, F_DUPFD_CLOEXEC}, {SCMP_SYS(fcntl), 1, ~0ull, F_ADD_SEALS},
	{SCMP_SYS(fcntl), 1, ~0ull, F_GET_SEALS},
	{SCMP_SYS(ioctl), 1, ~0ull, TCGETS}, /* the C library asks whether a file is a terminal */
	{SCMP_SYS(prctl), 0, ~0ull, PR_SET_NAME}, {SCMP_SYS(prctl), 0, ~0ull, PR_SET_VMA},
	{SCMP_SYS(prlimit64), 2, ~0ull, 0}, /* asks, sets nothing */
};

/* Nothing that we link wants these, in whatever version. */
static const int deadly[] = {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork),
	SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd),
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(kexec_load), SCMP_SYS(mount),
	SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(unshare), SCMP_SYS(setns),
	SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl), SCMP_SYS(userfaultfd),
	SCMP_SYS(perf_event_open), SCMP_SYS(io_uring_setup)};

/* A call that this architecture does not have needs no rule. */
static int rule(scmp_filter_ctx filter, uint32_t action, int call, unsigned count,
	const struct scmp_arg_cmp *arguments)
{
	int err = call < 0 ? 0 : seccomp_rule_add_array(filter, action, call, count, arguments);

	return err == -EEXIST ? 0 : err;
}

static int rules_allow(scmp_filter_ctx filter)
{
	struct scmp_arg_cmp argument = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid());
	unsigned i;
	int err = rule(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &argument); /* abort() */

	for (i = 0; !err && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		err = rule(filter, SCMP_ACT_ALLOW, allowed[i], 0, NULL);
	for (i = 0; !err && i < sizeof(allowed_if) / sizeof(allowed_if[0]); i++) {
		argument = (struct scmp_arg_cmp){.arg = allowed_if[i].argument,
			.op = SCMP_CMP_MASKED_EQ,
			.datum_a = allowed_if[i].mask,
			.datum_b = allowed_if[i].value};
		err = rule(filter, SCMP_ACT_ALLOW, allowed_if[i].call, 1, &argument);
	}
	return err;
}

static int rules_refuse(scmp_filter_ctx filter)
{
	unsigned i;
	/* its arguments cannot be looked at; without it the C library takes clone */
	int err = rule(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, NULL);

	for (i = 0; !err && i < sizeof(deadly) / sizeof(deadly[0]); i++)
		err = rule(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0, NULL);
	return err;
}

static int filter_load(bool only_log)
{
	scmp_filter_ctx filter = seccomp_init(only_log ? SCMP_ACT_LOG : SCMP_ACT_TRAP);
	int err;

	if (!filter)
		return -ENOMEM;
	err = seccomp_attr_set(
		filter, SCMP_FLTATR_ACT_BADARCH, only_log ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS);
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a line */
	if (!err)
		err = rules_allow(filter);
	if (!err && !only_log)
		err = rules_refuse(filter);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}

/* --- what becomes of a refused call --- */

#if defined(__x86_64__)
#define ANSWER(context) ((context)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define ANSWER(context) ((context)->uc_mcontext.regs[0])
#endif

static void on_refused(int signal, siginfo_t *info, void *context)
{
	unsigned call = (unsigned)info->si_syscall;
	unsigned char fresh = 0;

	(void)signal;
	__atomic_fetch_add(&refused_count, 1, __ATOMIC_RELAXED);
	if (call < CALLS_MAX)
		__atomic_compare_exchange_n(
			&refused[call], &fresh, 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	ANSWER((ucontext_t *)context) = -EPERM;
}

void hk_sandbox_say_refused(void)
{
	unsigned call;
	char *name;

	for (call = 0; call < CALLS_MAX; call++) {
		if (__atomic_load_n(&refused[call], __ATOMIC_RELAXED) != 1)
			continue;
		__atomic_store_n(&refused[call], 2, __ATOMIC_RELAXED);
		name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)call);
		hk_log_warn("seccomp: system call %s (%u) is not on the inspector's list, and was refused: a "
			    "hook or a library wants it, or an intruder; `seccomp: log` lets it through",
			name ? name : "?", call);
		free(name);
	}
}

unsigned long long hk_sandbox_refused(void)
{
	return __atomic_load_n(&refused_count, __ATOMIC_RELAXED);
}

int hk_sandbox_enter(unsigned mode, struct hk_error *error)
{
	struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO | SA_NODEFER};
	int err = 0;

	if (mode == HK_SECCOMP_OFF)
		return 0;
	if (sigaction(SIGSYS, &action, NULL))
		err = -errno;
	if (!err)
		err = filter_load(mode == HK_SECCOMP_LOG);
	return err ? hk_error_set(error, -err,
			     "seccomp: this kernel does not take the filter: %s: `seccomp: off` runs without",
			     strerror(-err))
		   : 0;
}
