// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One parser, two compilers: frames go through the XDP program as it is loaded
 * and through the userspace parser, and both must give the same reason and,
 * for a worker, the same metadata byte for byte.
 *
 * The frames: every row of cases.h and every vector, whole, cut at each byte
 * and MUTATIONS times damaged from a fixed seed. BPF_PROG_RUN takes no frame
 * below 14 bytes; those are compared in userspace only (test_outer).
 */
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bpf/cases.h"
#include "tests/bpf/fixture.h"
#include "tests/unit/harness.h"
#include "user/envelope/outer.h"

#define MUTATIONS    100000
#define SEED	     0x68616c666b6579ull
#define FRAME_LEAST  14
#define SAMPLES_MAX  1024
#define REPORTED_MAX 5

struct sample {
	unsigned length;
	__u8 bytes[2048];
};

static struct fixture fixture;
static struct hk_outer *outer;
static struct sample samples[SAMPLES_MAX];
static unsigned sample_count;
static unsigned differences;
static __u64 seen[HK_REASON_COUNT];

static void report(const struct sample *sample, const char *what, unsigned reason)
{
	unsigned i;

	if (differences++ >= REPORTED_MAX)
		return;
	printf("# %s; userspace says %s: ", what, hk_reason_name(reason));
	for (i = 0; i < sample->length; i++)
		printf("%02x", sample->bytes[i]);
	printf("\n");
}

/* The program counts what it parsed; the counter of the expected reason must be the one that rose. */
static void compare(const struct sample *sample, unsigned port)
{
	struct hk_meta meta;
	struct outcome outcome;
	unsigned reason = hk_outer_parse(outer, sample->bytes, sample->length, port, &meta);
	__u64 before = fixture_counter(&fixture, reason).packets;

	seen[reason]++;
	if (fixture_run(&fixture, sample->bytes, sample->length, port, 0, &outcome)) {
		report(sample, "the program did not run", reason);
		return;
	}
	if (fixture_counter(&fixture, reason).packets != before + 1)
		report(sample, "another reason was counted", reason);
	else if (outcome.has_meta != (reason == HK_REASON_TO_WORKER))
		report(sample, "metadata, or none", reason);
	else if (outcome.has_meta && memcmp(&outcome.meta, &meta, sizeof(meta)) != 0)
		report(sample, "other metadata", reason);
	else if (outcome.has_meta && !hk_meta_fits(&outcome.meta, sample->length))
		report(sample, "metadata does not fit", reason);
}

static void add_sample(const void *bytes, unsigned length)
{
	CU_ASSERT_FATAL(sample_count < SAMPLES_MAX && length <= sizeof(samples[0].bytes));
	samples[sample_count].length = length;
	memcpy(samples[sample_count++].bytes, bytes, length);
}

/* All vectors are for east's receivers; those of ESP are wanted at west's, too. */
static void aim_at_west(__u8 *frame)
{
	static const __u8 west[4] = {198, 51, 100, 9};

	if (frame[14] >> 4 == 4)
		memcpy(frame + 14 + 16, west, sizeof(west));
	else
		frame[14 + 24 + 5] = 0x0e;
}

static void aim_at_tss(__u8 *frame, int ssi)
{
	const __u8 receiver[4] = {100, 64, (__u8)ssi, 9};

	if (frame[14] >> 4 == 4)
		memcpy(frame + 14 + 16, receiver, sizeof(receiver));
	else
		frame[14 + 24 + 5] = 0x0c;
}

static void add_vector(const json_t *vector)
{
	__u8 frame[2048] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00};
	size_t size = vector_bytes(vector, "outer_ip", frame + 14, sizeof(frame) - 14);
	const char *name;

	CU_ASSERT_FATAL(size > 0);
	if (frame[14] >> 4 == 6)
		frame[12] = 0x86, frame[13] = 0xdd;
	add_sample(frame, (unsigned)size + 14);
	name = json_string_value(json_object_get(vector, "name"));
	if (strncmp(name, "esp-", 4) == 0)
		aim_at_west(frame);
	else if (strncmp(name, "tss-", 4) == 0)
		aim_at_tss(frame, strstr(name, "-ssi") != NULL);
	else
		return;
	add_sample(frame, (unsigned)size + 14);
}

static void collect_samples(void)
{
	json_t *vectors = load_vectors("packets.json");
	struct frame frame;
	size_t i;

	for (i = 0; packet_case(i); i++) {
		frame_build(&frame, packet_case(i));
		add_sample(frame.data, frame.length);
	}
	for (i = 0; i < json_array_size(vectors); i++)
		add_vector(json_array_get(vectors, i));
	json_decref(vectors);
}

static void whole(void)
{
	unsigned i;

	differences = 0;
	collect_samples();
	for (i = 0; i < sample_count; i++)
		compare(&samples[i], i & 1);
	CU_ASSERT_EQUAL(differences, 0);
}

static void cut_at_each_byte(void)
{
	static struct sample cut;
	unsigned i;

	differences = 0;
	for (i = 0; i < sample_count; i++) {
		cut = samples[i];
		for (; cut.length >= FRAME_LEAST; cut.length--)
			compare(&cut, 0);
	}
	CU_ASSERT_EQUAL(differences, 0);
}

/* Where a wrong byte matters is mostly in the headers: three of four hit the first 80 bytes. */
static void damage(struct sample *sample, __u64 *state)
{
	static const __u8 likely[] = {
		0, 1, 2, 4, 5, 6, 17, 41, 43, 44, 50, 58, 60, 0x3f, 0x80, 0x81, 0x88, 0xff};
	unsigned hits = 1 + (unsigned)(random_next(state) % 4), span, at;

	while (hits--) {
		span = random_next(state) % 4 && sample->length > 80 ? 80 : sample->length;
		at = (unsigned)(random_next(state) % span);
		switch (random_next(state) % 3) {
		case 0: sample->bytes[at] ^= (__u8)(1 << random_next(state) % 8); break;
		case 1: sample->bytes[at] = likely[random_next(state) % sizeof(likely)]; break;
		default: sample->bytes[at] = (__u8)random_next(state); break;
		}
	}
	if (random_next(state) % 8 == 0 && sample->length > FRAME_LEAST)
		sample->length -= (unsigned)(random_next(state) % (sample->length - FRAME_LEAST + 1));
	if (random_next(state) % 8 == 0) {
		span = (unsigned)(random_next(state) % 64);
		memset(sample->bytes + sample->length, 0, span);
		sample->length += span;
	}
}

static void mutations(void)
{
	static struct sample mutant;
	__u64 state = SEED;
	unsigned i;

	differences = 0;
	for (i = 0; i < MUTATIONS; i++) {
		if (i % 20000 == 0) /* the ledger and the heartbeat are not what is tested */
			fixture_reset(&fixture);
		fixture.handed[HK_MAP_SLOT(i & 1, 0)].packets = 0;
		mutant = samples[random_next(&state) % sample_count];
		damage(&mutant, &state);
		compare(&mutant, i & 1);
	}
	CU_ASSERT_EQUAL(differences, 0);
}

/* The corpus is worth something only if it reaches every reason the parser can give. */
static void every_reason_was_met(void)
{
	static const unsigned reasons[] = {HK_REASON_TO_WORKER, HK_REASON_CONTROL, HK_REASON_IKE,
		HK_REASON_LEGACY, HK_REASON_NO_DOMAIN, HK_REASON_FRAGMENT, HK_REASON_SHORT_FRAME,
		HK_REASON_IP_HEADER, HK_REASON_IP6_EXTENSIONS, HK_REASON_UDP_LENGTH, HK_REASON_VLAN_DEPTH,
		HK_REASON_MAPPED_ADDRESS, HK_REASON_DATAGRAM_PADDING, HK_REASON_PSP_GMAC, HK_REASON_PSP_SHORT,
		HK_REASON_PSP_HEL_ZERO, HK_REASON_PSP_HEL_LENGTH, HK_REASON_PSP_OFFSET, HK_REASON_PSP_BIT,
		HK_REASON_PSP_VERSION, HK_REASON_PSP_SPI, HK_REASON_PSP_COOKIE, HK_REASON_ESP_SHORT,
		HK_REASON_ESP_SPI, HK_REASON_ESP_ALIGN, HK_REASON_TSS_PDS, HK_REASON_TSS_SHORT,
		HK_REASON_TSS_TYPE, HK_REASON_TSS_RESERVED, HK_REASON_TSS_SSI, HK_REASON_EESP_SHORT,
		HK_REASON_EESP_VERSION, HK_REASON_EESP_RESERVED, HK_REASON_EESP_SPI, HK_REASON_WESP_SHORT,
		HK_REASON_WESP_VERSION, HK_REASON_WESP_RESERVED, HK_REASON_WESP_LENGTH,
		HK_REASON_WESP_ENCRYPTED, HK_REASON_WESP_SPI, HK_REASON_INLINE_SHORT, HK_REASON_INLINE_SPI,
		HK_REASON_INLINE_ALIGN, HK_REASON_DTLS_SHORT, HK_REASON_DTLS_VERSION, HK_REASON_DTLS_LENGTH,
		HK_REASON_DTLS_CID, HK_REASON_DTLS_FLAGS, HK_REASON_DTLS_EPOCH, HK_REASON_DTLS_CONTROL,
		HK_REASON_DTLS_NO_CID, HK_REASON_DTLS_13, HK_REASON_TLS_TCP, HK_REASON_TLS_CONTROL};
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (!seen[reasons[i]])
			printf("# never met: %s\n", hk_reason_name(reasons[i]));
		CU_ASSERT(seen[reasons[i]] > 0);
	}
	CU_ASSERT(seen[HK_REASON_TO_WORKER] > MUTATIONS / 10);
}

int main(void)
{
	static const struct test tests[] = {
		{"cases and vectors", whole},
		{"cut at each byte", cut_at_each_byte},
		{"100000 mutations", mutations},
		{"every reason was met", every_reason_was_met},
		{0},
	};
	int status;

	outer = hk_outer_new(frames_config());
	if (!outer)
		return 2;
	if (fixture_start(&fixture, "same parser"))
		return 0;
	status = run_tests("same parser", tests);
	fixture_stop(&fixture);
	hk_outer_free(outer);
	return status;
}
