// SPDX-License-Identifier: GPL-2.0-or-later
/* The veth benchmark's XDP programs: see xdp.h. */
#include "tests/bench/lib/xdp.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>

#define INSN(c, d, s, o, i) \
	((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})
#define MOVE(d, s)	   INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define SET(d, i)	   INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, (__s32)(i))
#define ADD(d, i)	   INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define AND(d, i)	   INSN(BPF_ALU64 | BPF_AND | BPF_K, d, 0, 0, (__s32)(i))
#define MAP_FD(d, fd)	   INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_MAP_FD, 0, fd), INSN(0, 0, 0, 0, 0)
#define STORE32(d, o, s)   INSN(BPF_STX | BPF_MEM | BPF_W, d, s, o, 0)
#define LOAD32(d, s, o)	   INSN(BPF_LDX | BPF_MEM | BPF_W, d, s, o, 0)
#define ATOMIC_ADD64(d, s) INSN(BPF_STX | BPF_ATOMIC | BPF_DW, d, s, 0, BPF_ADD)
#define CALL(helper)	   INSN(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
#define IF_ZERO(r, skip)   INSN(BPF_JMP | BPF_JEQ | BPF_K, r, 0, skip, 0)
#define IF_NOT(r, skip)	   INSN(BPF_JMP | BPF_JNE | BPF_K, r, 0, skip, 0)
#define EXIT()		   INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

enum { R0, R1, R2, R3, R4, R5, R6, FRAME_POINTER = 10 };

static int load(const char *name, const struct bpf_insn *code, size_t count)
{
	char log[4096] = "";
	LIBBPF_OPTS(bpf_prog_load_opts, options, .log_buf = log, .log_size = sizeof(log));
	const int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, name, "GPL", code, count, &options);

	if (fd < 0)
		fprintf(stderr, "bench: the kernel refuses XDP program %s: %s\n%s", name, strerror(-fd), log);
	return fd;
}

int xdp_sender(int frames, __u32 count, __u32 length, __u32 ifindex)
{
	const struct bpf_insn code[] = {
		MOVE(R6, R1),
		CALL(BPF_FUNC_get_prandom_u32),
		AND(R0, count - 1),
		STORE32(FRAME_POINTER, -4, R0),
		MAP_FD(R1, frames),
		MOVE(R2, FRAME_POINTER),
		ADD(R2, -4),
		CALL(BPF_FUNC_map_lookup_elem),
		IF_ZERO(R0, 10),
		MOVE(R1, R6),
		SET(R2, 0),
		MOVE(R3, R0),
		SET(R4, length),
		CALL(BPF_FUNC_xdp_store_bytes),
		IF_NOT(R0, 4),
		SET(R1, ifindex),
		SET(R2, 0),
		CALL(BPF_FUNC_redirect),
		EXIT(),
		SET(R0, XDP_DROP),
		EXIT(),
	};

	return load("bench_send", code, sizeof(code) / sizeof(code[0]));
}

int xdp_sink(int counter)
{
	const struct bpf_insn code[] = {
		SET(R1, 0),
		STORE32(FRAME_POINTER, -4, R1),
		MAP_FD(R1, counter),
		MOVE(R2, FRAME_POINTER),
		ADD(R2, -4),
		CALL(BPF_FUNC_map_lookup_elem),
		IF_ZERO(R0, 2),
		SET(R1, 1),
		ATOMIC_ADD64(R0, R1),
		SET(R0, XDP_DROP),
		EXIT(),
	};

	return load("bench_sink", code, sizeof(code) / sizeof(code[0]));
}

int xdp_to_socket(int sockets)
{
	const struct bpf_insn code[] = {
		LOAD32(R2, R1, (__s16)offsetof(struct xdp_md, rx_queue_index)),
		MAP_FD(R1, sockets),
		SET(R3, XDP_DROP),
		CALL(BPF_FUNC_redirect_map),
		EXIT(),
	};

	return load("bench_socket", code, sizeof(code) / sizeof(code[0]));
}

int xdp_attach(int program, __u32 ifindex)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_DRV_MODE);
	const int fd = bpf_link_create(program, (int)ifindex, BPF_XDP, &options);

	if (fd < 0)
		fprintf(stderr, "bench: XDP cannot be attached natively: %s\n", strerror(-fd));
	return fd;
}
