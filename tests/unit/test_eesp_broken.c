// SPDX-License-Identifier: GPL-2.0-or-later
/* EESP and WESP: whatever is cut, changed or forged is refused for its own reason. */
#include "tests/unit/eesp_help.h"

/* Sets the IPv4 length (and UDP's) so that only the envelope is short. */
static void cut_to(struct talk *talk, __u32 length)
{
	__u32 ip = length - 14;

	talk->length = length;
	talk->frame[14 + 2] = (__u8)(ip >> 8), talk->frame[14 + 3] = (__u8)ip;
	if (talk->frame[14 + 9] == 17)
		talk->frame[14 + 24] = (__u8)((ip - 20) >> 8), talk->frame[14 + 25] = (__u8)(ip - 20);
}

static void cut_anywhere(void)
{
	struct talk talk;
	unsigned i, reason, udp;
	__u32 full, at;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		for (udp = 0; udp < 2; udp++) {
			talk_start(&talk, &kinds[i], NULL, true);
			if (kinds[i].derived && kinds[i].envelope == HK_ENVELOPE_EESP)
				talk.name.sn = true;
			talk.shape.protocol = udp ? 17 : kinds[i].envelope == HK_ENVELOPE_WESP ? 141 : 253;
			talk_seal(&talk, 1, 64);
			full = talk.length;
			for (at = full - 1; at > 14 + 28; at--) {
				cut_to(&talk, at);
				reason = box_reason(&talk);
				CU_ASSERT_PTR_NOT_NULL(hk_reason_name(reason));
				if (!kinds[i].split)
					CU_ASSERT_NOT_EQUAL(reason, HK_REASON_OK);
				CU_ASSERT_NOT_EQUAL(host_open(&talk), HK_REFUSAL_NONE);
			}
			talk_end(&talk);
		}
}

/* Every byte of envelope and ciphertext, every bit: `single` opens none of them, the host neither. */
static void change_anywhere(void)
{
	struct talk talk;
	unsigned i, bit;
	__u32 at;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		talk_start(&talk, &kinds[i], NULL, true);
		if (kinds[i].derived && kinds[i].envelope == HK_ENVELOPE_EESP)
			talk.name.sn = true;
		talk_seal(&talk, 1, 30);
		for (at = 14 + 28 + (kinds[i].envelope == HK_ENVELOPE_WESP ? 4 : 0); at < talk.length; at++)
			for (bit = 0; bit < 8; bit++) {
				talk.frame[at] ^= (__u8)(1 << bit);
				CU_ASSERT_TRUE(box_reason(&talk) != HK_REASON_OK || kinds[i].split);
				CU_ASSERT_NOT_EQUAL(host_open(&talk), HK_REFUSAL_NONE);
				talk.frame[at] ^= (__u8)(1 << bit);
			}
		CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_NONE);
		talk_end(&talk);
	}
}

struct damage {
	unsigned at, value, reason;
};

/* Offsets count from the envelope's first byte. */
static void damaged(const struct hk_eesp_name *name, const struct damage *damage, unsigned count)
{
	struct talk talk;
	unsigned i;
	__u8 was;

	talk_start(&talk, name, NULL, true);
	talk.shape.protocol = name->envelope == HK_ENVELOPE_WESP ? 141 : 253;
	for (i = 0; i < count; i++) {
		talk_seal(&talk, i + 1, 60);
		was = talk.frame[14 + 20 + damage[i].at];
		talk.frame[14 + 20 + damage[i].at] = (__u8)damage[i].value;
		if (box_reason(&talk) != damage[i].reason)
			printf("# byte %u = 0x%02x (was 0x%02x): %s, not %s\n", damage[i].at, damage[i].value,
				was, hk_reason_name(box_reason(&talk)), hk_reason_name(damage[i].reason));
		CU_ASSERT_EQUAL(box_reason(&talk), damage[i].reason);
	}
	talk_end(&talk);
}

static void contexts_are_checked(void)
{
	static const struct damage eesp[] = {
		{9, 21, HK_REASON_DKC_LENGTH},
		{9, 200, HK_REASON_EESP_OPTION},
		{10, 0x00, HK_REASON_DKC_KDF},
		{10, 0x02, HK_REASON_DKC_KDF},
		{10, 0x0f, HK_REASON_DKC_KDF},
		{10, 0x11, HK_REASON_DKC_CARRIER},
		{10, 0x31, HK_REASON_DKC_CARRIER},
		{11, 0xf1, HK_REASON_DKC_RESERVED},
		{11, 0x30, HK_REASON_DKC_RESERVED},
		{11, 0xe0, HK_REASON_PROFILE_MISMATCH},
		{11, 0xf2, HK_REASON_NO_KEY},
		{15, 43, HK_REASON_NO_KEY},
		{23, 9, HK_REASON_WRONG_KCV},
		{27, 6, HK_REASON_WRONG_KCV},
		{31, 0xff, HK_REASON_WRONG_KCV},
		{3, 1, HK_REASON_WRONG_KCV},
	};
	static const struct damage wesp[] = {
		{4, 0x12, HK_REASON_DKC_KDF},
		{4, 0x01, HK_REASON_DKC_CARRIER},
		{5, 0x51, HK_REASON_DKC_RESERVED},
		{5, 0xd0, HK_REASON_DKC_RESERVED},
		{5, 0x70, HK_REASON_DKC_RESERVED},
		{5, 0x10, HK_REASON_DKC_RESERVED},
		{5, 0x40, HK_REASON_PROFILE_MISMATCH},
		{6, 1, HK_REASON_WESP_RESERVED},
		{7, 1, HK_REASON_WESP_RESERVED},
		{11, 43, HK_REASON_NO_KEY},
		{27, 0xff, HK_REASON_WRONG_KCV},
		{31, 2, HK_REASON_WRONG_KCV},
	};

	damaged(&DERIVED(.envelope = HK_ENVELOPE_EESP, .sn = true, .iv = true, .split = true), eesp,
		sizeof(eesp) / sizeof(eesp[0]));
	damaged(&DERIVED(.envelope = HK_ENVELOPE_WESP, .split = true), wesp, sizeof(wesp) / sizeof(wesp[0]));
}

static void options_are_checked(void)
{
	static const struct {
		__u8 bytes[8];
		__u8 size;
		unsigned reason;
	} cases[] = {
		{{1}, 1, HK_REASON_EESP_OPTION},
		{{1, 1}, 2, HK_REASON_EESP_OPTION},
		{{99, 5, 0, 0, 0}, 5, HK_REASON_EESP_OPTION},
		{{2, 3, 0, 0, 0}, 5, HK_REASON_EESP_OFFSET},
		{{2, 0}, 2, HK_REASON_EESP_OFFSET},
		{{2, 2, 63, 0}, 4, HK_REASON_EESP_OFFSET},
		{{2, 2, 0, 0, 2, 2, 0, 0}, 8, HK_REASON_EESP_OPTION},
		{{0xe0, 2, 0, 0}, 4, HK_REASON_DKC_LENGTH},
		{{0, 0xe0, 2, 0, 0}, 5, HK_REASON_OK},
		{{2, 4, 1, 0, 0, 0}, 6, HK_REASON_IMPLAUSIBLE},
		{{0, 0, 0}, 3, HK_REASON_OK},
		{{2, 2, 0xc0, 0xff}, 4, HK_REASON_OK},
	};
	struct talk talk;
	unsigned i, reason;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		talk_start(&talk, &kinds[0], NULL, false);
		talk.shape.options = cases[i].bytes;
		talk.shape.options_size = cases[i].size;
		talk_seal(&talk, 1, 60);
		reason = box_reason(&talk);
		if (reason != cases[i].reason)
			printf("# case %u: %s\n", i, hk_reason_name(reason));
		CU_ASSERT_EQUAL(reason, cases[i].reason);
		talk_end(&talk);
	}
}

static void other_keys(void)
{
	struct talk talk;

	talk_start(&talk, &kinds[0], NULL, false);
	talk.name.spi++;
	talk_seal(&talk, 1, 60);
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_NO_KEY);
	talk.name = DERIVED(.envelope = HK_ENVELOPE_EESP, .sn = true, .split = true);
	talk_seal(&talk, 1, 60);
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_NO_KEY);
	talk_end(&talk);
	/* a sub-SA's packet where the domain has master keys alone */
	talk_start(&talk, &kinds[4], NULL, false);
	talk.name = kinds[0];
	talk_seal(&talk, 1, 60);
	CU_ASSERT_EQUAL(box_reason(&talk), HK_REASON_NO_KEY);
	talk_end(&talk);
}

static void hosts_refuse(void)
{
	struct talk talk;

	talk_start(&talk, &kinds[4], NULL, false);
	talk.name.sn = true;
	talk_seal(&talk, 10, 60);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_NONE);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_REPLAY);
	talk.name.epoch = 2; /* the sender restarted: its numbers begin anew */
	talk_seal(&talk, 10, 60);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_NONE);
	talk.name.epoch = 1;
	talk_seal(&talk, 11, 60);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_REPLAY);
	talk.name.epoch = 2;
	talk.shape.destination = address("192.0.2.10");
	talk_seal(&talk, 12, 60);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_NOT_OURS);
	talk_end(&talk);
}

/*
 * The forger is the box: it has MK_e (and MK_r, when it reads). Whatever it
 * makes of them, the host takes none of it.
 */
static void forge(const struct hk_eesp_name *name)
{
	struct hk_eesp_keys honest;
	struct talk talk;

	talk_start(&talk, name, NULL, true);
	if (name->derived && name->envelope == HK_ENVELOPE_EESP)
		talk.name.sn = true;
	honest = talk.keys;
	/* one key for both, as a lazy host would take it */
	talk.name.split = talk.name.reader = false;
	talk.keys = (struct hk_eesp_keys){.enc = talk.enc};
	talk_seal(&talk, 50, 60);
	CU_ASSERT_EQUAL(host_open(&talk), name->derived ? HK_REFUSAL_DOWNGRADE : HK_REFUSAL_BAD_ICV);
	/* the encryption side in the place of the authentication side, and the reader's */
	talk.name.split = true;
	talk.name.reader = name->reader;
	talk.keys = (struct hk_eesp_keys){.enc = talk.enc, .auth = talk.enc, .reader = talk.reader};
	talk_seal(&talk, 51, 60);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_BAD_ICV);
	talk.keys.auth = talk.reader;
	talk_seal(&talk, 52, 60);
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_BAD_ICV);
	/* what it holds off the wire, with a bit of the plaintext turned; then the real one still counts */
	talk.keys = honest;
	talk_seal(&talk, 53, 60);
	talk.frame[talk.length - 40] ^= 1;
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_BAD_ICV);
	talk.frame[talk.length - 40] ^= 1;
	CU_ASSERT_EQUAL(host_open(&talk), HK_REFUSAL_NONE);
	talk_end(&talk);
}

static void forgers_fail(void)
{
	unsigned i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].split)
			forge(&kinds[i]);
}

int main(void)
{
	static const struct test tests[] = {
		{"cut at every byte", cut_anywhere},
		{"every bit changed", change_anywhere},
		{"contexts: every field has its reason", contexts_are_checked},
		{"EESP options", options_are_checked},
		{"keys of somebody else", other_keys},
		{"hosts: replay, epochs, receivers", hosts_refuse},
		{"forgers with the box's keys fail", forgers_fail},
		{0},
	};

	return run_tests_with(&crypto, "libcrypto", "eesp broken", tests);
}
