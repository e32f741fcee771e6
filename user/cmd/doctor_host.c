// SPDX-License-Identifier: GPL-2.0-or-later
/* What `halfkey doctor` looks at that is no port: see finding.h. */
#include "user/cmd/finding.h"

#include <errno.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <halfkey/crypto.h>

#include "maps/layout.h"
#include "user/keys/children.h"

#define BPF_FS 0xcafe4a11

static void look_at_kernel(struct hk_findings *findings)
{
	struct utsname name;
	unsigned major = 0, minor = 0;

	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		hk_finding(findings, HK_FINDING_WARN, "kernel", NULL, "its version cannot be read");
	else if (major < 6 || (major == 6 && minor < 1))
		hk_finding(findings, HK_FINDING_FAIL, "kernel", "install a kernel of 6.1 or later",
			"Linux %s is older than 6.1", name.release);
	else
		hk_finding(findings, HK_FINDING_OK, "kernel", NULL, "Linux %s", name.release);
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		hk_finding(findings, HK_FINDING_WARN, "BTF", "use a kernel with CONFIG_DEBUG_INFO_BTF",
			"the kernel has no BTF: libxdp's dispatcher cannot be used");
	else
		hk_finding(findings, HK_FINDING_OK, "BTF", NULL, "the kernel describes its types");
}

static void look_at_jit(struct hk_findings *findings)
{
	FILE *file = fopen("/proc/sys/net/core/bpf_jit_enable", "re");
	int enabled = -1;

	if (file && fscanf(file, "%d", &enabled) != 1)
		enabled = -1;
	if (file)
		fclose(file);
	if (enabled == 0)
		hk_finding(findings, HK_FINDING_WARN, "BPF JIT", "sysctl net.core.bpf_jit_enable=1",
			"is off: the XDP program is interpreted, several times as slow");
	else if (enabled > 0)
		hk_finding(findings, HK_FINDING_OK, "BPF JIT", NULL, "is on");
}

static void look_at_bpffs(struct hk_findings *findings)
{
	struct statfs status;

	if (statfs("/sys/fs/bpf", &status) == 0 && (unsigned long)status.f_type == BPF_FS)
		hk_finding(findings, HK_FINDING_OK, "bpffs", NULL, "is mounted on /sys/fs/bpf");
	else
		hk_finding(findings, HK_FINDING_WARN, "bpffs", "mount -t bpf bpf /sys/fs/bpf",
			"is not mounted on /sys/fs/bpf: halfkeyd will try (inside `ip netns exec` use "
			"nsenter --net= instead)");
}

/* --- rights --- */

static bool has(cap_t caps, cap_value_t value)
{
	cap_flag_value_t set = CAP_CLEAR;

	return caps && cap_get_flag(caps, value, CAP_EFFECTIVE, &set) == 0 && set == CAP_SET;
}

static void look_at_rights(struct hk_findings *findings)
{
	static const struct {
		cap_value_t value;
		const char *name;
	} wanted[] = {{CAP_BPF, "CAP_BPF"}, {CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {CAP_NET_RAW, "CAP_NET_RAW"},
		{CAP_IPC_LOCK, "CAP_IPC_LOCK"}, {CAP_SETUID, "CAP_SETUID"}, {CAP_SETGID, "CAP_SETGID"}};
	cap_t caps = cap_get_proc();
	char missing[128] = "";
	unsigned i;

	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (!has(caps, wanted[i].value)) {
			strcat(missing, " ");
			strcat(missing, wanted[i].name);
		}
	if (caps)
		cap_free(caps);
	if (missing[0])
		hk_finding(findings, HK_FINDING_FAIL, "rights",
			"run halfkeyd as root, or as scripts/halfkeyd.service does", "this user lacks%s",
			missing);
	else
		hk_finding(findings, HK_FINDING_OK, "rights", NULL, "all capabilities the starter needs");
}

static void look_at_user(struct hk_findings *findings, const struct hk_config *config)
{
	const char *name = config ? config->user : "nobody";
	const struct passwd *user = getpwnam(name);

	if (!user)
		hk_finding(findings, HK_FINDING_FAIL, "user", "make it, or name another with `user:`",
			"there is no user %s for the inspector to become", name);
	else if (user->pw_uid == 0)
		hk_finding(findings, HK_FINDING_WARN, "user", "name an unprivileged one with `user:`",
			"the inspector would stay root");
	else
		hk_finding(findings, HK_FINDING_OK, "user", NULL, "the inspector becomes %s (uid %u)", name,
			user->pw_uid);
}

/* --- memory --- */

/* UMEM of all queues, both key arenas and the records of pushed keys: what must be locked, about. */
static unsigned long long locked_bytes(const struct hk_config *config)
{
	unsigned long long frames = config ? config->frames : 8192,
			   queues = config && config->queues ? config->queues : 1;
	unsigned long long keys = config ? config->keys_max : 65536, children = 0;
	unsigned i;

	for (i = 0; config && i < config->domains_count; i++)
		if (config->domains[i].envelope == HK_ENVELOPE_INLINE)
			children = hk_children_size();
	return frames * 2048 * queues * 2 + keys * (2 * 384 + 128) + children;
}

static void look_at_memlock(struct hk_findings *findings, const struct hk_config *config)
{
	cap_t caps = cap_get_proc();
	bool free_of_limit = has(caps, CAP_IPC_LOCK);
	unsigned long long wanted = locked_bytes(config);
	struct rlimit limit = {0};

	if (caps)
		cap_free(caps);
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (free_of_limit || limit.rlim_cur == RLIM_INFINITY)
		hk_finding(findings, HK_FINDING_OK, "memlock", NULL, "memory can be locked without limit");
	else if (limit.rlim_cur >= wanted)
		hk_finding(findings, HK_FINDING_OK, "memlock", NULL,
			"%llu MiB may be locked, about %llu are wanted",
			(unsigned long long)limit.rlim_cur >> 20, wanted >> 20);
	else
		hk_finding(findings, HK_FINDING_WARN, "memlock",
			"ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit",
			"%llu MiB may be locked, about %llu are wanted: keys could reach swap",
			(unsigned long long)limit.rlim_cur >> 20, wanted >> 20);
}

static void look_at_crypto(struct hk_findings *findings, const struct hk_config *config)
{
	struct hk_crypto *crypto = hk_crypto_new(config ? config->crypto : NULL);

	if (!crypto) {
		hk_finding(findings, HK_FINDING_FAIL, "crypto", "leave `crypto:` out: the best one is taken",
			"no backend %s on this machine: %s",
			config && config->crypto ? config->crypto : "(any)", strerror(errno));
		return;
	}
	if (strcmp(hk_crypto_name(crypto), hk_crypto_backend_name(0)) == 0)
		hk_finding(findings, HK_FINDING_OK, "crypto", NULL, "backend %s", hk_crypto_name(crypto));
	else
		hk_finding(findings, HK_FINDING_WARN, "crypto",
			"use a processor with AES-NI and leave `crypto:` out",
			"backend %s: several times as slow as %s", hk_crypto_name(crypto),
			hk_crypto_backend_name(0));
	hk_crypto_free(crypto);
}

static void look_at_processor(struct hk_findings *findings)
{
#ifdef __x86_64__
	bool aes = __builtin_cpu_supports("aes"), wide = __builtin_cpu_supports("avx512f");
	unsigned a, b, c = 0, d;
	bool vaes = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & 1u << 9);

	if (!aes)
		hk_finding(findings, HK_FINDING_WARN, "processor", "use one with AES-NI",
			"has no AES instructions");
	else
		hk_finding(findings, HK_FINDING_OK, "processor", NULL, "AES%s%s", vaes ? ", VAES" : "",
			wide ? ", AVX-512" : "");
#else
	hk_finding(findings, HK_FINDING_WARN, "processor", NULL, "not x86-64: libcrypto alone can be used");
#endif
}

void hk_doctor_host(struct hk_findings *findings, const struct hk_config *config)
{
	look_at_kernel(findings);
	look_at_jit(findings);
	look_at_bpffs(findings);
	look_at_rights(findings);
	look_at_user(findings, config);
	look_at_memlock(findings, config);
	look_at_processor(findings);
	look_at_crypto(findings, config);
}
