// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TLS over TCP through the box: OpenSSL's own connections with their key log,
 * their segments in order, out of order, twice, with gaps, damaged and without
 * keys. What was said must come out in order, each segment with one reason, and
 * every frame must be what it was.
 */
#include <openssl/core_names.h>
#include <openssl/kdf.h>

#include "tests/unit/tls_scene.h"
#include "user/envelope/streams.h"
#include "user/keys/keylog.h"

#define CBC "ECDHE-ECDSA-AES128-SHA256"

static void in_order(const char *backend)
{
	static const char *const suites[] = {AES128, AES256};
	unsigned i;

	if (!backend_or_skip(backend))
		return;
	for (i = 0; i < 4; i++) {
		talk_start(&talk, suites[i % 2], 100 + i);
		chat();
		scene_init(backend, talk.log, HK_STREAMS_MIN);
		run_all(i < 2 ? 1 : 64);
		CU_ASSERT(heard_all());
		CU_ASSERT_EQUAL(scene.reasons[HK_REASON_OK] + scene.reasons[HK_REASON_TLS_PARTIAL] +
					scene.reasons[HK_REASON_TLS_CONTROL],
			talk.count);
		CU_ASSERT_EQUAL(scene.box.counts.streams_evicted, 0);
		CU_ASSERT_EQUAL(scene.box.counts.nonce_repeats, 0);
		box_free(&scene.box);
		talk_end(&talk);
	}
}

static void with_ipsec_mb(void)
{
	in_order("ipsec-mb");
}

static void with_libcrypto(void)
{
	in_order("libcrypto");
}

static void swap(unsigned a, unsigned b)
{
	struct segment_of segment = talk.segments[a];

	talk.segments[a] = talk.segments[b];
	talk.segments[b] = segment;
}

/* Neighbours change places, and every fourth segment comes twice; never across the hello's answer. */
static void out_of_order_and_twice(void)
{
	static struct segment_of again[TALK_SEGMENTS];
	unsigned i, count = 0, run;
	__u64 seed = 5;

	for (run = 0; run < 8; run++) {
		talk_start(&talk, AES128, 200 + run);
		chat();
		for (i = 40; i + 4 < talk.count; i++)
			swap(i, i + (unsigned)(random_next(&seed) % 4));
		for (count = i = 0; i < talk.count && count + 2 < TALK_SEGMENTS; i++) {
			again[count++] = talk.segments[i];
			if (i > 40 && i % 4 == 0)
				again[count++] = talk.segments[i - (i > 50 ? 8 : 0)];
		}
		memcpy(talk.segments, again, sizeof(again));
		talk.count = count;
		scene_init(NULL, talk.log, HK_STREAMS_MIN);
		run_all(run % 2 ? 1 : 32);
		CU_ASSERT(heard_all());
		CU_ASSERT(scene.reasons[HK_REASON_TLS_REPEATED] > 0);
		CU_ASSERT_EQUAL(scene.reasons[HK_REASON_TLS_GAP], 0);
		CU_ASSERT_EQUAL(scene.reasons[HK_REASON_BAD_ICV], 0);
		box_free(&scene.box);
		talk_end(&talk);
	}
}

/* A segment that never comes: what is behind the gap is found again by the tag. */
static void gaps(void)
{
	unsigned run, i, lost;
	__u32 tail = 2000;

	for (run = 0; run < 8; run++) {
		talk_start(&talk, run % 2 ? AES128 : AES256, 300 + run);
		chat();
		lost = talk.count - 1;
		while (!talk.segments[lost].server)
			lost--;
		for (i = 0; i < 12; i++)
			talk_say(&talk, true, 16000); /* beyond the window */
		talk_say(&talk, true, tail);
		memmove(&talk.segments[lost], &talk.segments[lost + 1],
			(--talk.count - lost) * sizeof(talk.segments[0]));
		scene_init(NULL, talk.log, HK_STREAMS_MIN);
		run_all(1);
		CU_ASSERT(scene.reasons[HK_REASON_TLS_GAP] > 0);
		CU_ASSERT_EQUAL(scene.reasons[HK_REASON_BAD_ICV], 0);
		CU_ASSERT(scene.heard_length[1] < talk.data_length[1]);
		CU_ASSERT_FATAL(scene.heard_length[1] > tail);
		CU_ASSERT_EQUAL(memcmp(scene.heard[1] + scene.heard_length[1] - tail,
					talk.data[1] + talk.data_length[1] - tail, tail),
			0);
		box_free(&scene.box);
		talk_end(&talk);
	}
}

static void without_keys(void)
{
	struct hk_inspection *next;
	unsigned i, half;
	int fd;

	talk_start(&talk, AES128, 400);
	chat();
	scene_init(NULL, "# none\n", HK_STREAMS_MIN);
	half = talk.count / 2;
	for (i = 0; i < half; i++)
		run_batch(&talk.segments[i], 1);
	CU_ASSERT(scene.reasons[HK_REASON_NO_KEY] > 0);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_OK], 0);
	/* the log is written while the connection goes on, and read again with a reload */
	fd = hk_files_get(&scene.box.files, scene.box.keys[0]);
	CU_ASSERT_FATAL(write(fd, talk.log, strlen(talk.log)) == (ssize_t)strlen(talk.log));
	CU_ASSERT_EQUAL_FATAL(hk_inspection_new(&next, &scene.box.config, &scene.box.files, scene.box.arena,
				      1, &scene.box.error),
		0);
	hk_inspection_free(scene.box.inspection);
	scene.box.inspection = next;
	for (; i < talk.count; i++)
		run_batch(&talk.segments[i], 1);
	CU_ASSERT(scene.reasons[HK_REASON_OK] > 0);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_BAD_ICV], 0);
	CU_ASSERT_FATAL(scene.heard_length[1] > 0);
	CU_ASSERT_EQUAL(memcmp(scene.heard[1], talk.data[1] + talk.data_length[1] - scene.heard_length[1],
				scene.heard_length[1]),
		0);
	box_free(&scene.box);
	talk_end(&talk);
}

static void other_versions_and_ciphers(void)
{
	static const struct {
		const char *suite;
		unsigned reason;
	} others[] = {{NULL, HK_REASON_TLS_VERSION}, {CBC, HK_REASON_TLS_CIPHER}};
	unsigned i;

	for (i = 0; i < 2; i++) {
		talk_start(&talk, others[i].suite, 500 + i);
		chat();
		scene_init(NULL, talk.log, HK_STREAMS_MIN);
		run_all(1);
		CU_ASSERT(scene.reasons[others[i].reason] > 20);
		CU_ASSERT_EQUAL(scene.reasons[HK_REASON_OK], 0);
		CU_ASSERT_EQUAL(scene.reasons[HK_REASON_BAD_ICV] + scene.reasons[HK_REASON_TLS_RECORD], 0);
		box_free(&scene.box);
		talk_end(&talk);
	}
}

/* Keys pushed for one connection, without its master secret. */
static void keys_of_a_connection(void)
{
	__u8 master[48], seed[64], block[40];
	char line[512], hex[4][65];

	talk_start(&talk, AES128, 600);
	chat();
	SSL_SESSION_get_master_key(SSL_get_session(talk.client), master, sizeof(master));
	SSL_get_server_random(talk.client, seed, 32);
	SSL_get_client_random(talk.client, seed + 32, 32);
	hk_crypto_tls_prf(false, master, 48, "key expansion", seed, 64, block, 40);
	hk_hex_format(block, 16, hex[0]);
	hk_hex_format(block + 32, 4, hex[1]);
	hk_hex_format(block + 16, 16, hex[2]);
	hk_hex_format(block + 36, 4, hex[3]);
	snprintf(line, sizeof(line), "TLS_KEYS 192.0.2.1 40000 192.0.2.9 %u %s %s %s %s\n", TALK_PORT, hex[0],
		hex[1], hex[2], hex[3]);
	scene_init(NULL, line, HK_STREAMS_MIN);
	run_all(1);
	CU_ASSERT(heard_all());
	box_free(&scene.box);
	talk_end(&talk);
}

/* Any bit of a record: nothing comes out, and nothing behind it until the numbers fit again. */
static void every_bit(void)
{
	struct segment_of good;
	unsigned bit, last;

	talk_start(&talk, AES128, 700);
	talk_say(&talk, false, 10);
	last = talk.count - 1;
	while (talk.segments[last].length < 20 && last)
		last--;
	good = talk.segments[last];
	for (bit = 0; bit < good.length * 8; bit++) {
		talk.segments[last] = good;
		talk.segments[last].bytes[bit / 8] ^= (__u8)(1 << bit % 8);
		scene_init(NULL, talk.log, HK_STREAMS_MIN);
		run_all(1);
		CU_ASSERT_EQUAL(scene.heard_length[0], 0);
		CU_ASSERT_EQUAL(scene.reasons[HK_REASON_OK], 0);
		box_free(&scene.box);
	}
	talk_end(&talk);
}

static void overlaps_and_rubbish(void)
{
	static const __u8 http[] = "GET / HTTP/1.1\r\n\r\n";
	unsigned i, first;

	talk_start(&talk, AES128, 800);
	chat();
	scene_init(NULL, talk.log, HK_STREAMS_MIN);
	first = talk.count - 20;
	for (i = 0; i < first; i++)
		run_batch(&talk.segments[i], 1);
	/* a segment behind a gap, then another story of the same bytes */
	for (i = first; talk.segments[i].server != talk.segments[first].server || i == first; i++)
		;
	run_batch(&talk.segments[i], 1);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_TLS_OVERLAP], 0);
	talk.segments[i].bytes[0] ^= 1;
	run_batch(&talk.segments[i], 1);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_TLS_OVERLAP], 1);
	box_free(&scene.box);
	talk_end(&talk);

	memset(&talk, 0, sizeof(talk));
	talk_segment(&talk, false, NULL, 0, 2);
	talk_segment(&talk, false, http, sizeof(http) - 1, 0x18);
	talk_segment(&talk, true, NULL, 0, 0x12);
	talk_segment(&talk, true, http, sizeof(http) - 1, 0x18);
	talk_segment(&talk, true, NULL, 0, 4); /* RST */
	talk_segment(&talk, true, http, sizeof(http) - 1, 0x18);
	scene_init(NULL, "", HK_STREAMS_MIN);
	run_all(1);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_TLS_RECORD], 2);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_TLS_CONTROL], 3);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_TLS_GAP], 1);
	box_free(&scene.box);
}

/* What a hook dropped comes again with TCP, and then it must not complete the record. */
static void dropped_for_good(void)
{
	unsigned i, dropped = 0, again;

	talk_start(&talk, AES128, 900);
	chat();
	scene_dropping();
	for (i = 0; i < talk.count && !scene.reasons[HK_REASON_HOOK_DROP]; i++) {
		dropped = i;
		if (!talk.segments[i].server) {
			struct hk_fate fate;
			__u8 frame[BOX_FRAME];

			fate = box_run(&scene.box, frame, talk_frame(&talk.segments[i], frame));
			scene.reasons[fate.reason]++;
			if (fate.reason == HK_REASON_HOOK_DROP)
				CU_ASSERT_EQUAL(fate.action, HK_ACTION_DROP);
		} else {
			run_batch(&talk.segments[i], 1);
		}
	}
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_HOOK_DROP], 1);
	for (again = 0; again < 3; again++)
		run_batch(&talk.segments[dropped], 1);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_FLOW_DROP], 3);
	for (; i < talk.count; i++)
		run_batch(&talk.segments[i], 1);
	CU_ASSERT(scene.reasons[HK_REASON_FLOW_DROP] > 10);
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_HOOK_DROP], 1);
	CU_ASSERT_EQUAL(scene.heard_length[0], 0);
	CU_ASSERT_EQUAL(scene.heard_length[1], talk.data_length[1]); /* the other direction is not meant */
	box_free(&scene.box);
	talk_end(&talk);
}

/* --- the pool --- */

static __u64 evicted;

static struct hk_stream *stream(struct hk_streams *pool, unsigned port)
{
	struct hk_stream_name name = {.src_port = (__u16)port, .dst_port = (__u16)(port >> 16)};

	return hk_streams_make(pool, &name);
}

static void memory_is_bounded(void)
{
	struct hk_streams *pool = hk_streams_new(HK_STREAMS_MIN, NULL, 0, &evicted);
	struct hk_stream_name name = {.src_port = 0};
	unsigned port, ready = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
	evicted = 0;
	for (port = 0; port < 20000; port++)
		ready += hk_stream_put(pool, stream(pool, port), 0, (const __u8 *)"x", 1) == HK_STREAM_READY;
	CU_ASSERT_EQUAL(ready, 20000);
	CU_ASSERT(evicted > 19000);
	CU_ASSERT_PTR_NULL(hk_streams_find(pool, &name)); /* the oldest gave way */
	hk_streams_free(pool);
}

/* Random pieces of a known text, in random order, against what must come out. */
static void reassembly(void)
{
	struct hk_streams *pool = hk_streams_new(HK_STREAMS_MIN, NULL, 0, &evicted);
	static __u8 text[100000];
	__u64 seed = 9;
	unsigned run, tries;

	random_fill(&seed, text, sizeof(text));
	for (run = 0; run < 20; run++) {
		struct hk_stream *one = stream(pool, run);
		__u32 start = (__u32)random_next(&seed), done = 0, ready, from, size;

		one->next = start;
		for (tries = 0; done < sizeof(text) && tries < 1000000; tries++) {
			from = done > 3000 ? done - 3000 : 0;
			from += (__u32)(random_next(&seed) % 9000);
			size = 1 + (__u32)(random_next(&seed) % 1400);
			if (from >= sizeof(text))
				continue;
			size = size > sizeof(text) - from ? (__u32)sizeof(text) - from : size;
			hk_stream_put(pool, one, start + from, text + from, size);
			if (!hk_stream_ready(one, &ready))
				continue;
			ready = 1 + (__u32)(random_next(&seed) % ready);
			CU_ASSERT_EQUAL_FATAL(memcmp(hk_stream_ready(one, &size), text + done, ready), 0);
			hk_stream_take(pool, one, ready);
			done += ready;
		}
		CU_ASSERT_EQUAL(done, sizeof(text));
		hk_streams_end(pool, one);
	}
	hk_streams_free(pool);
}

/* Memory comes and goes with the configuration, between two batches. */
static void first_domain_by_reload(void)
{
	struct hk_domain_config *domain;
	struct hk_error error = {""};
	unsigned first;

	talk_start(&talk, AES128, 1000);
	talk_say(&talk, true, 3000);
	scene_init(NULL, talk.log, HK_STREAMS_MIN);
	domain = &scene.box.domains[0];
	domain->envelope = HK_ENVELOPE_PSP;
	CU_ASSERT_EQUAL_FATAL(hk_pipeline_prepare(scene.box.pipeline, &scene.box.config, &error), 0);
	hk_pipeline_adopt(scene.box.pipeline);
	hk_pipeline_drop_spare(scene.box.pipeline);
	domain->envelope = HK_ENVELOPE_TLS;
	run_batch(talk.segments, 1); /* between the two: nowhere to put it */
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_TLS_NO_ROOM], 1);
	CU_ASSERT_EQUAL_FATAL(hk_pipeline_prepare(scene.box.pipeline, &scene.box.config, &error), 0);
	run_batch(talk.segments, 1); /* prepared is not in force */
	CU_ASSERT_EQUAL(scene.reasons[HK_REASON_TLS_NO_ROOM], 2);
	hk_pipeline_adopt(scene.box.pipeline);
	hk_pipeline_drop_spare(scene.box.pipeline);
	run_all(8);
	CU_ASSERT(heard_all());
	/* the same size again: streams are followed on */
	CU_ASSERT_EQUAL_FATAL(hk_pipeline_prepare(scene.box.pipeline, &scene.box.config, &error), 0);
	hk_pipeline_adopt(scene.box.pipeline);
	hk_pipeline_drop_spare(scene.box.pipeline);
	first = talk.count;
	talk_say(&talk, false, 100);
	for (; first < talk.count; first++)
		run_batch(&talk.segments[first], 1);
	CU_ASSERT(heard_all());
	domain->tls.memory = 1ull << 60;
	CU_ASSERT_EQUAL(hk_pipeline_prepare(scene.box.pipeline, &scene.box.config, &error), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "tls.memory"));
	box_free(&scene.box);
	talk_end(&talk);
}

/* --- key logs and derivation --- */

static void prf(void)
{
	static const char *const digests[] = {"SHA256", "SHA384"};
	__u8 secret[48], seed[64], wanted[104], got[104];
	__u64 random = 3;
	unsigned i;

	for (i = 0; i < 2; i++) {
		EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
		EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
		OSSL_PARAM parameters[5];

		random_fill(&random, secret, sizeof(secret));
		random_fill(&random, seed, sizeof(seed));
		parameters[0] =
			OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)digests[i], 0);
		parameters[1] =
			OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, secret, sizeof(secret));
		parameters[2] =
			OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (char *)"key expansion", 13);
		parameters[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof(seed));
		parameters[4] = OSSL_PARAM_construct_end();
		CU_ASSERT_EQUAL_FATAL(EVP_KDF_derive(context, wanted, sizeof(wanted), parameters), 1);
		hk_crypto_tls_prf(
			i, secret, sizeof(secret), "key expansion", seed, sizeof(seed), got, sizeof(got));
		CU_ASSERT_EQUAL(memcmp(wanted, got, sizeof(got)), 0);
		EVP_KDF_CTX_free(context);
		EVP_KDF_free(kdf);
	}
}

#define R32 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define M48 R32 "00112233445566778899aabbccddeeff"

static int count_secret(
	void *context, const struct hk_tls_secret *secret, unsigned line, struct hk_error *error)
{
	(void)secret;
	(void)line;
	(void)error;
	++*(unsigned *)context;
	return 0;
}

#define TUPLE "client=10.0.0.1 client-port=1 server=10.0.0.2 server-port=443"

static void read_log(enum hk_keylog_kind kind, const char *text, const char *words)
{
	unsigned count = 0;
	struct hk_keylog_reading reading = {
		.name = "log", .text = text, .kind = kind, .take = count_secret, .context = &count};
	struct hk_error error = {""};

	CU_ASSERT_EQUAL(hk_keylog_read(&reading, &error), words ? -EINVAL : 0);
	CU_ASSERT_EQUAL(count, words ? 0 : 1);
	if (words)
		CU_ASSERT_PTR_NOT_NULL(strstr(error.text, words));
	CU_ASSERT_PTR_NULL(strstr(error.text, "00112233"));
}

static void key_logs(void)
{
	static const struct {
		const char *text, *words; /* NULL: taken */
	} logs[] =
		{
			{"# comment\n\nCLIENT_RANDOM " R32 " " M48 "\n", NULL},
			{"CLIENT_HANDSHAKE_TRAFFIC_SECRET " R32 " " R32 "\nCLIENT_RANDOM " R32 " " M48, NULL},
			{"TLS_KEYS 10.0.0.1 1 10.0.0.2 443 " R32 " 00112233 " R32 " 00112233\r\n", NULL},
			{"CLIENT_RANDOM " R32 "\n", "log:1: CLIENT_RANDOM takes two words"},
			{"\nCLIENT_RANDOM 00 " M48 "\n", "log:2: a client random has 64"},
			{"CLIENT_RANDOM " R32 " " R32 "\n", "log:1: a master secret has 96"},
			{"TLS_KEYS 10.0.0.1 1 fd00::1 443 " R32 " 00112233 " R32 " 00112233\n",
				"one IP version"},
			{"TLS_KEYS 10.0.0.1 70000 10.0.0.2 443 " R32 " 00112233 " R32 " 00112233\n", "ports"},
			{"TLS_KEYS 10.0.0.1 1 10.0.0.2 443 " R32 " 00112233 00 00112233\n", "both keys"},
			{"TLS_KEYS 10.0.0.1 1 10.0.0.2 443 00 00112233 00 00112233\n", "32 or 64"},
			{"TLS_KEYS 10.0.0.1\n", "eight words"},
			{"slot=0 generation=1 side=enc key=" R32 "\n", "begins with a label"},
			{"retire client-random=" R32 "\n", "begins with a label"},
			/* a log is written while it is read: the rest of its last line is to come */
			{"CLIENT_RANDOM " R32 " " M48 "\nCLIENT_RANDOM " R32 " 00", NULL},
		},
	  updates[] = {
		  {"retire client-random=" R32, NULL},
		  {"retire " TUPLE "\n", NULL},
		  {"retire " TUPLE " client-random=" R32 "\n", "retire takes"},
		  {"retire client=10.0.0.1 client-port=1\n", "retire takes"},
		  {"retire client-port=1 client-port=1\n", "retire takes"},
		  {"retire client-random=00\n", "retire takes"},
		  {"retire\n", "retire takes"},
		  {"CLIENT_RANDOM " R32 " 00", "log:1: a master secret"},
	  };
	unsigned i;

	for (i = 0; i < sizeof(logs) / sizeof(logs[0]); i++)
		read_log(HK_KEYLOG_FILE, logs[i].text, logs[i].words);
	for (i = 0; i < sizeof(updates) / sizeof(updates[0]); i++)
		read_log(HK_KEYLOG_UPDATE, updates[i].text, updates[i].words);
}

int main(void)
{
	static const struct test tests[] = {
		{"in order, ipsec-mb", with_ipsec_mb},
		{"in order, libcrypto", with_libcrypto},
		{"out of order and twice", out_of_order_and_twice},
		{"gaps", gaps},
		{"without keys, then with", without_keys},
		{"other versions and ciphers", other_versions_and_ciphers},
		{"keys of one connection", keys_of_a_connection},
		{"every bit", every_bit},
		{"overlaps and rubbish", overlaps_and_rubbish},
		{"what a hook dropped stays dropped", dropped_for_good},
		{"memory is bounded", memory_is_bounded},
		{"the first domain comes by reload", first_domain_by_reload},
		{"reassembly", reassembly},
		{"the PRF against OpenSSL's", prf},
		{"key logs", key_logs},
		{0},
	};

	return run_tests("tls", tests);
}
