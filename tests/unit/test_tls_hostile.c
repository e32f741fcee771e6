// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TLS over a TCP that means no good: segments of one byte and of many records,
 * hellos cut anywhere, sequence numbers around 2^32, ports used again, SYN and RST
 * out of place, keys of somebody else, more than memory holds. Each segment has
 * its one reason, what was said comes out whole or not at all, and what a hook
 * dropped stays dropped.
 */
#include "tests/unit/tls_scene.h"
#include "user/keys/update.h"

static struct segment_of kept[TALK_SEGMENTS];

static __u64 all_reasons(void)
{
	__u64 sum = 0;
	unsigned i;

	for (i = 0; i < HK_REASON_COUNT; i++)
		sum += scene.reasons[i];
	return sum;
}

/* Cuts all segments into pieces of at most `size` bytes. */
static void recut(__u32 size)
{
	unsigned i, count = talk.count;
	struct segment_of *piece;
	__u32 at;

	memcpy(kept, talk.segments, count * sizeof(kept[0]));
	for (talk.count = i = 0; i < count; i++)
		for (at = 0; at < kept[i].length || !at; at += size) {
			CU_ASSERT_FATAL(talk.count < TALK_SEGMENTS);
			piece = &talk.segments[talk.count++];
			*piece = kept[i];
			piece->sequence += at;
			piece->length = kept[i].length - at < size ? kept[i].length - at : size;
			memcpy(piece->bytes, kept[i].bytes + at, piece->length);
		}
}

/* Joins neighbours of one direction, as far as a segment holds them. */
static void join(void)
{
	struct segment_of *last = NULL, *next;
	unsigned i, count = talk.count;

	for (talk.count = i = 0; i < count; i++) {
		next = &talk.segments[i];
		if (last && last->length && next->length && last->server == next->server &&
			last->length + next->length <= sizeof(last->bytes)) {
			memcpy(last->bytes + last->length, next->bytes, next->length);
			last->length += next->length;
			continue;
		}
		last = &talk.segments[talk.count++];
		if (last != next)
			*last = *next;
	}
}

static void short_talk(__u64 seed)
{
	unsigned i;

	talk_start(&talk, AES128, seed);
	for (i = 0; i < 4; i++) {
		talk_say(&talk, false, 20 + i);
		talk_say(&talk, true, 30 + i);
	}
}

static void scene_start(void)
{
	scene_init(NULL, talk.log, HK_STREAMS_MIN);
}

static void scene_end(void)
{
	CU_ASSERT_EQUAL(all_reasons(), talk.count);
	box_free(&scene.box);
	talk_end(&talk);
}

/* A record is what its last byte completes. */
static void one_byte_segments(void)
{
	short_talk(1);
	recut(1);
	scene_start();
	run_all(64);
	CU_ASSERT(heard_all());
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_OK], 8);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_OK] + scene.reasons[HK_REASON_TLS_CONTROL] +
				scene.reasons[HK_REASON_TLS_PARTIAL],
		talk.count);
	scene_end();
}

static void many_records_in_one(void)
{
	unsigned i;

	talk_start(&talk, AES256, 2);
	for (i = 0; i < 40; i++)
		talk_say(&talk, true, 5);
	join();
	scene_start();
	run_all(64);
	CU_ASSERT(heard_all());
	CU_ASSERT(scene.reasons[HK_REASON_OK] <= 3); /* 34 bytes a record, 1400 a segment */
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_BAD_ICV], 0);
	scene_end();
}

/* Each place in the hellos, and nothing before or behind it, is where a segment ends. */
static void hello_cut_anywhere(void)
{
	unsigned at, i, count;
	struct segment_of first;

	for (at = 1; at < 300; at += 3) {
		short_talk(3);
		join();
		for (i = 0; i < talk.count && !talk.segments[i].length; i++)
			;
		first = talk.segments[i];
		if (at >= first.length) {
			talk_end(&talk);
			break;
		}
		count = talk.count++;
		memmove(&talk.segments[i + 1], &talk.segments[i], (count - i) * sizeof(first));
		talk.segments[i].length = at;
		talk.segments[i + 1].length = first.length - at;
		talk.segments[i + 1].sequence += at;
		memcpy(talk.segments[i + 1].bytes, first.bytes + at, first.length - at);
		scene_start();
		run_all(1);
		CU_ASSERT(heard_all());
		CU_ASSERT_EQUAL(scene.reasons[HK_REASON_NO_KEY], 0);
		scene_end();
	}
	CU_ASSERT(at > 100);
}

/* The number 2^32 falls on each byte of a few records, in both directions. */
static void sequence_wraps(void)
{
	unsigned shift, i;
	__u32 move;

	for (shift = 0; shift < 160; shift += 3) {
		short_talk(4);
		recut(23);
		move = 0u - talk.segments[talk.count - 1].sequence + shift; /* the server speaks last */
		for (i = 0; i < talk.count; i++)
			if (talk.segments[i].server)
				talk.segments[i].sequence += move;
		scene_start();
		run_all(32);
		CU_ASSERT(heard_all());
		CU_ASSERT_EQUAL(scene.reasons[HK_REASON_TLS_GAP] + scene.reasons[HK_REASON_TLS_REPEATED], 0);
		scene_end();
	}
}

/* TCP Fast Open: the client's hello comes with its SYN. */
static void syn_with_data(void)
{
	unsigned i;

	short_talk(5);
	join();
	for (i = 1; talk.segments[i].server || !talk.segments[i].length; i++)
		;
	memcpy(talk.segments[0].bytes, talk.segments[i].bytes, talk.segments[i].length);
	talk.segments[0].length = talk.segments[i].length;
	memmove(&talk.segments[i], &talk.segments[i + 1], (--talk.count - i) * sizeof(talk.segments[0]));
	scene_start();
	run_all(1);
	CU_ASSERT(heard_all());
	scene_end();
}

/* Data with FIN is data; the segment that completes nothing but ends the connection is none. */
static void fin_with_data(void)
{
	short_talk(6);
	talk.segments[talk.count - 1].flags |= 1;
	scene_start();
	run_all(1);
	CU_ASSERT(heard_all());
	scene_end();
}

static struct segment_of control(bool server, __u32 sequence, __u8 flags)
{
	return (struct segment_of){.server = server, .sequence = sequence, .flags = flags};
}

/* In mid-connection somebody sends SYNs and RSTs that no end host would take. */
static void out_of_place(void)
{
	struct segment_of bad;
	unsigned i, sent = 0;

	talk_start(&talk, AES128, 7);
	chat();
	scene_start();
	for (i = 0; i < talk.count; i++) {
		run_batch(&talk.segments[i], 1);
		if (i < 8 || i % 3)
			continue;
		bad = control(i & 1, talk.segments[i].sequence + 1000 + i, i % 2 ? 4 : 2);
		run_batch(&bad, 1);
		bad = control(!(i & 1), 77 * i, i % 2 ? 2 : 0x14);
		run_batch(&bad, 1);
		sent += 2;
	}
	CU_ASSERT(heard_all());
	CU_ASSERT(sent > 50);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_TLS_GAP], 0);
	CU_ASSERT_EQUAL(all_reasons(), talk.count + sent);
	box_free(&scene.box);
	talk_end(&talk);
}

/* A reset at the next byte is one: what comes behind it belongs to nothing. */
static void reset_in_place(void)
{
	struct segment_of reset;

	short_talk(8);
	scene_start();
	run_all(1);
	reset = control(true, talk.next[1], 4);
	run_batch(&reset, 1);
	reset = control(true, talk.next[1] + 10, 0x18);
	reset.length = 20; /* zeros: no record begins there */
	run_batch(&reset, 1);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_TLS_GAP], 1);
	box_free(&scene.box);
	talk_end(&talk);
}

/* Another connection between the same two ports, with other randoms and another start. */
static void ports_used_again(void)
{
	char log[2048];
	unsigned i, first;

	short_talk(9);
	first = talk.count;
	memcpy(kept, talk.segments, first * sizeof(kept[0]));
	snprintf(log, sizeof(log), "%s", talk.log);
	talk_end(&talk);
	short_talk(10);
	strcat(log, talk.log);
	scene_init(NULL, log, HK_STREAMS_MIN);
	for (i = 0; i < first; i++)
		run_batch(&kept[i], 1);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_OK], 8);
	scene.heard_length[0] = scene.heard_length[1] = 0;
	for (i = 0; i < talk.count; i++) {
		talk.segments[i].sequence += 0x12345678;
		run_batch(&talk.segments[i], 1);
	}
	CU_ASSERT(heard_all());
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_OK], 16);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_BAD_ICV] + scene.reasons[HK_REASON_TLS_GAP], 0);
	box_free(&scene.box);
	talk_end(&talk);
}

#define OTHER "0123456789abcdef0123456789abcdef 00112233 0123456789abcdef0123456789abcdef 44556677\n"

/* Keys that were pushed for a connection before, between the same ports, do this one no harm. */
static void keys_of_a_connection_before(void)
{
	char log[2048];
	unsigned with;

	for (with = 0; with < 2; with++) {
		short_talk(11);
		snprintf(log, sizeof(log), "TLS_KEYS 192.0.2.1 40000 192.0.2.9 %u " OTHER "%s", TALK_PORT,
			with ? talk.log : "");
		scene_init(NULL, log, HK_STREAMS_MIN);
		run_all(1);
		CU_ASSERT_EQUAL(scene.reasons[HK_REASON_BAD_ICV], 0);
		CU_ASSERT_EQUAL(scene.reasons[HK_REASON_OK], with ? 8 : 0);
		CU_ASSERT(with ? heard_all() : scene.reasons[HK_REASON_NO_KEY] >= 8);
		scene_end();
	}
}

/* A key that is taken away: what comes under it is stale. */
static void key_taken_away(void)
{
	struct hk_key_update update = {.domain = &scene.box.domains[0], .name = "(control)"};
	struct hk_key_change *change = NULL;
	struct hk_key_result result;
	char text[128];
	unsigned i, half;

	short_talk(12);
	half = talk.count - 4;
	scene_start();
	snprintf(text, sizeof(text), "retire client-random=%.64s\n", talk.log + strlen("CLIENT_RANDOM "));
	update.text = text;
	for (i = 0; i < half; i++)
		run_batch(&talk.segments[i], 1);
	CU_ASSERT_EQUAL_FATAL(
		hk_keyring_prepare(&change, scene.box.inspection->keyring, &update, &scene.box.error), 0);
	CU_ASSERT_EQUAL_FATAL(hk_keyring_commit(change, &result, &scene.box.error), 0);
	hk_key_change_free(change);
	hk_pipeline_forget_keys(scene.box.pipeline, scene.box.inspection->keyring);
	half = (unsigned)scene.reasons[HK_REASON_OK];
	for (; i < talk.count; i++)
		run_batch(&talk.segments[i], 1);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_OK], half);
	CU_ASSERT(scene.reasons[HK_REASON_STALE_KEY] > 0);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_NO_KEY], 0);
	scene_end();
}

/* Same bytes or other bytes for a place that was seen: only the first copy counts. */
static void other_bytes(void)
{
	struct segment_of forged;
	unsigned i, behind = 0;

	talk_start(&talk, AES128, 13);
	talk_say(&talk, true, 16000);
	talk_say(&talk, true, 16000);
	scene_start();
	for (i = 0; i < talk.count; i++) {
		run_batch(&talk.segments[i], 1);
		if (talk.segments[i].length < 100 || i + 1 == talk.count)
			continue;
		forged = talk.segments[i];
		memset(forged.bytes, 0x5a, forged.length);
		run_batch(&forged, 1);
		behind++;
	}
	CU_ASSERT(heard_all());
	/* inside a record they are told apart; what a record took is only known to be over */
	CU_ASSERT(scene.reasons[HK_REASON_TLS_OVERLAP] > 8);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_TLS_OVERLAP] + scene.reasons[HK_REASON_TLS_REPEATED], behind);
	box_free(&scene.box);
	talk_end(&talk);
}

/* --- what a hook dropped ---------------------------------------------------------------------- */

/* Segments until the hook dropped one of the client's; which. */
static unsigned until_dropped(void)
{
	unsigned i;

	for (i = 0; i < talk.count; i++) {
		struct hk_fate fate;
		__u8 frame[BOX_FRAME];

		fate = box_run(&scene.box, frame, talk_frame(&talk.segments[i], frame));
		scene.reasons[fate.reason]++;
		if (fate.reason == HK_REASON_HOOK_DROP)
			return i;
	}
	CU_FAIL_FATAL("nothing was dropped");
	return 0;
}

/* Neither a SYN nor a RST of the client's sets free what it was not allowed to say; a minute's rest does. */
static void no_way_around_a_drop(void)
{
	static const __u8 flags[] = {4, 2, 0x14, 2};
	struct segment_of trick;
	struct hk_fate fate;
	__u8 frame[BOX_FRAME];
	unsigned dropped, i;

	short_talk(14);
	scene_dropping();
	dropped = until_dropped();
	for (i = 0; i < sizeof(flags); i++) {
		trick = control(false, i < 2 ? talk.segments[dropped].sequence : 1000 * i, flags[i]);
		run_batch(&trick, 1);
		trick = talk.segments[dropped];
		fate = box_run(&scene.box, frame, talk_frame(&trick, frame));
		CU_ASSERT_EQUAL(fate.reason, HK_REASON_FLOW_DROP);
		CU_ASSERT_EQUAL(fate.action, HK_ACTION_DROP);
	}
	scene.box.now_ns += 61000000000ull;
	trick = control(false, 5000, 2);
	run_batch(&trick, 1);
	trick = control(false, 5001, 0x18);
	trick.length = 100;
	trick.bytes[0] = 22, trick.bytes[1] = 3, trick.bytes[2] = 3, trick.bytes[4] = 95;
	fate = box_run(&scene.box, frame, talk_frame(&trick, frame));
	CU_ASSERT_EQUAL(fate.reason, HK_REASON_TLS_CONTROL); /* the ports are used again */
	box_free(&scene.box);
	talk_end(&talk);
}

/* --- memory ----------------------------------------------------------------------------------- */

/* The same connection between many ports, each but for its last segment. */
static void play_on_ports(unsigned ports, unsigned count)
{
	struct segment_of segment;
	unsigned port, i;

	for (port = 0; port < ports; port++)
		for (i = 0; i < count; i++) {
			segment = talk.segments[i];
			segment.port = (__u16)(20000 + port);
			run_batch(&segment, 1);
		}
}

/*
 * A window full of the smallest records, whole with the byte that comes last: all are read in
 * one go, however many they are, or a few packets would stop a worker's heart.
 */
static void thousands_of_records(void)
{
	static const __u8 empty[] = {21, 3, 3, 0, 0};
	struct segment_of segment;
	__u32 at, i;
	unsigned port;

	memset(&talk, 0, sizeof(talk));
	scene_start();
	for (port = 20000; port < 20100; port++) {
		segment = control(false, 999, 2);
		segment.port = (__u16)port;
		run_batch(&segment, 1);
		segment.flags = 0x18;
		for (at = 1; at < HK_WINDOW; at += segment.length) {
			segment.sequence = 1000 + at;
			segment.length = HK_WINDOW - at < 1400 ? HK_WINDOW - at : 1400;
			for (i = 0; i < segment.length; i++)
				segment.bytes[i] = empty[(at + i) % sizeof(empty)];
			run_batch(&segment, 1);
		}
		segment.sequence = 1000;
		segment.length = 1;
		segment.bytes[0] = empty[0];
		run_batch(&segment, 1);
		segment.sequence = 1000 + HK_WINDOW; /* where the last record ended */
		segment.length = sizeof(empty);
		memcpy(segment.bytes, empty, sizeof(empty));
		run_batch(&segment, 1);
	}
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_TLS_CONTROL], 100 * 3); /* the SYN's, too */
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_TLS_PARTIAL], 100 * (HK_WINDOW / 1400 + 1));
	CU_ASSERT_EQUAL(scene.box.counts.streams_evicted, 0);
	box_free(&scene.box);
}

/* Windows are few: the streams that rested longest lose theirs, and are found again no sooner than a record.
 */
static void windows_give_way(void)
{
	struct segment_of last;

	talk_start(&talk, AES128, 15);
	talk_say(&talk, true, 3000);
	scene_start();
	play_on_ports(40, talk.count - 1); /* a megabyte has 15 windows */
	CU_ASSERT(scene.box.counts.streams_evicted >= 20);
	last = talk.segments[talk.count - 1];
	last.port = 20000;
	run_batch(&last, 1);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_TLS_GAP], 1);
	last.port = 20039;
	run_batch(&last, 1);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_OK], 1);
	CU_ASSERT_EQUAL(memcmp(scene.heard[1], talk.data[1], 3000), 0);
	box_free(&scene.box);
	talk_end(&talk);
}

/* All streams of a batch complete a whole record: what a batch may open has an end. */
static void a_batch_has_an_end(void)
{
	static struct segment_of last[64];
	unsigned i;

	talk_start(&talk, AES128, 16);
	talk_say(&talk, true, 16384);
	scene_init(NULL, talk.log, 8u << 20);
	play_on_ports(64, talk.count - 1);
	for (i = 0; i < 64; i++) {
		last[i] = talk.segments[talk.count - 1];
		last[i].port = (__u16)(20000 + i);
	}
	scene.reasons[HK_REASON_OK] = 0;
	run_batch(last, 64);
	CU_ASSERT(scene.reasons[HK_REASON_OK] >= 60);
	CU_ASSERT(scene.reasons[HK_REASON_TLS_NO_ROOM] >= 1);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_OK] + scene.reasons[HK_REASON_TLS_NO_ROOM], 64);
	CU_ASSERT_EQUAL(scene.box.counts.streams_evicted, 0);
	box_free(&scene.box);
	talk_end(&talk);
}

/* --- what a frame may end in, and what a header may say ---------------------------------------- */

/* Each length a frame can be cut to: refused by the header's own reason, or a shorter segment. */
static void every_truncation(void)
{
	struct hk_meta meta;
	__u8 frame[BOX_FRAME];
	unsigned reason;
	__u32 length, cut;

	short_talk(17);
	scene_start();
	length = talk_frame(&talk.segments[talk.count - 1], frame);
	for (cut = 14 + 20; cut < length; cut++) {
		frame[16] = (__u8)((cut - 14) >> 8); /* the IP header says so, too */
		frame[17] = (__u8)(cut - 14);
		reason = hk_outer_parse(scene.box.outer, frame, cut, 0, &meta);
		CU_ASSERT_EQUAL(reason, cut < 14 + 20 + 20 ? HK_REASON_TLS_TCP
					: cut == 14 + 40   ? HK_REASON_TLS_CONTROL
							   : HK_REASON_TO_WORKER);
	}
	talk_frame(&talk.segments[talk.count - 1], frame);
	for (cut = 0; cut < 16; cut++) { /* the TCP header's length */
		frame[14 + 20 + 12] = (__u8)(cut << 4);
		reason = hk_outer_parse(scene.box.outer, frame, length, 0, &meta);
		CU_ASSERT_EQUAL(reason, cut < 5 ? HK_REASON_TLS_TCP : HK_REASON_TO_WORKER);
	}
	box_free(&scene.box);
	talk_end(&talk);
}

/* Where a record must begin: every type, version and length there is. */
static void every_record_header(void)
{
	struct segment_of syn = control(false, 999, 2), data = control(false, 1000, 0x18);
	unsigned at, value, good;

	memset(&talk, 0, sizeof(talk));
	data.length = 5;
	for (at = 0; at < 4; at++)
		for (value = 0; value < 256; value++) {
			memcpy(data.bytes, (const __u8[]){22, 3, 3, 1, 0}, 5);
			data.bytes[at] = (__u8)value;
			good = at == 0	 ? value >= 20 && value <= 24
			       : at == 1 ? value == 3
			       : at == 2 ? value <= 4
					 : value <= 0x48; /* 16384 + 2048 */
			scene_init(NULL, "", HK_STREAMS_MIN);
			run_batch(&syn, 1);
			run_batch(&data, 1);
			CU_ASSERT_EQUAL(
				scene.reasons[at == 3 && !value ? HK_REASON_TLS_CONTROL /* whole, empty */
					      : good		? HK_REASON_TLS_PARTIAL
								: HK_REASON_TLS_RECORD],
				at == 3 && !value ? 2 : 1); /* the SYN is control, too */
			box_free(&scene.box);
		}
}

int main(void)
{
	static const struct test tests[] = {
		{"segments of one byte", one_byte_segments},
		{"many records in one segment", many_records_in_one},
		{"a hello cut anywhere", hello_cut_anywhere},
		{"sequence numbers around 2^32", sequence_wraps},
		{"SYN with data", syn_with_data},
		{"FIN with data", fin_with_data},
		{"SYN and RST out of place", out_of_place},
		{"RST in its place", reset_in_place},
		{"ports used again", ports_used_again},
		{"keys of a connection before", keys_of_a_connection_before},
		{"a key that is taken away", key_taken_away},
		{"other bytes for the same place", other_bytes},
		{"no way around a drop", no_way_around_a_drop},
		{"thousands of records in a window", thousands_of_records},
		{"windows give way", windows_give_way},
		{"a batch has an end", a_batch_has_an_end},
		{"every truncation", every_truncation},
		{"every record header", every_record_header},
		{0},
	};

	return run_tests("tls_hostile", tests);
}
