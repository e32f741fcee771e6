// SPDX-License-Identifier: GPL-2.0-or-later
/* The hook chain: loading, refusals, precedence of verdicts, errors, counters, the example hook. */
#include "tests/unit/harness.h"
#include "tests/unit/hook_batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/pipeline/hooks_chain.h"

/* --- the example hook, as a file the core opened ---------------------------------------------- */

static char object_path[256];

static const char *example_path(void)
{
	const char *build = getenv("O");

	snprintf(object_path, sizeof(object_path), "%s/hooks/portwatch.so", build ? build : "build");
	return object_path;
}

struct setup {
	struct hk_config config;
	struct hk_hook_config rows[HK_HOOKS_MAX];
	struct hk_domain_config domain;
	struct hk_file file_rows[4];
	struct hk_files files;
	struct hk_error error;
};

static void setup_init(struct setup *s)
{
	memset(s, 0, sizeof(*s));
	s->config.mode = HK_MODE_INLINE;
	s->config.frames = 8192;
	s->config.hooks = s->rows;
	s->domain.name = "east";
	s->domain.id = 7;
	s->config.domains = &s->domain;
	s->config.domains_count = 1;
	s->files.rows = s->file_rows;
}

static void setup_file(struct setup *s, char *name, const void *bytes, size_t size)
{
	int fd = memfd_create("test", 0);

	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET))
		abort();
	s->file_rows[s->files.count++] = (struct hk_file){.kind = HK_FILE_SETTINGS, .path = name, .fd = fd};
}

static void setup_close(struct setup *s)
{
	unsigned i;

	for (i = 0; i < s->files.count; i++)
		close(s->file_rows[i].fd);
}

static size_t read_example(__u8 *to, size_t max)
{
	int fd = open(example_path(), O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, to, max);

	if (fd >= 0)
		close(fd);
	return size > 0 ? (size_t)size : 0;
}

/* Loads `bytes` as ./hook.so with `ports` as its settings (NULL: none). */
static int load_bytes(
	struct setup *s, struct hk_hook_chain **chain, const void *bytes, size_t size, const char *ports)
{
	setup_init(s);
	setup_file(s, "./hook.so", bytes, size);
	s->rows[0].use = "./hook.so";
	s->config.hooks_count = 1;
	if (ports) {
		setup_file(s, "ports.txt", ports, strlen(ports));
		s->rows[0].settings = "ports.txt";
	}
	return hk_hook_chain_new(chain, &s->config, &s->files, 2, &s->error);
}

static __u8 example[1 << 20];

static int load_example(struct setup *s, struct hk_hook_chain **chain, const char *ports)
{
	return load_bytes(s, chain, example, read_example(example, sizeof(example)), ports);
}

static void example_loads_and_drops(void)
{
	struct batch_area *area = batch_new();
	__u8 decided[HK_HOOK_BATCH_MAX], reported[BATCH_EVENTS];
	struct hk_hook_stat stats[8];
	struct hk_counts counts = {0};
	struct hk_hook_chain *chain = NULL;
	struct setup s;

	CU_ASSERT_EQUAL_FATAL(load_example(&s, &chain, "23 # telnet\n\n2323\n"), 0);
	CU_ASSERT_STRING_EQUAL(hk_hook_chain_name(chain, 0), "portwatch");
	CU_ASSERT_EQUAL(hk_hook_chain_length(chain), 1);
	CU_ASSERT_PTR_NULL(hk_hook_chain_name(chain, 1));
	batch_add(area, 6, "10.0.0.1", 40000, "10.0.0.2", 23, "x", 1)->tcp_flags = 0x02;
	batch_add(area, 6, "10.0.0.1", 40000, "10.0.0.2", 80, "x", 1)->tcp_flags = 0x02;
	batch_add(area, 6, "2001:db8::1", 40000, "2001:db8::2", 2323, "x", 1)->tcp_flags = 0x02;
	batch_add(area, 6, "10.0.0.2", 23, "10.0.0.1", 23, "x", 1)->tcp_flags = 0x12;
	CU_ASSERT_EQUAL(hk_hook_chain_run(chain, 1, &area->batch, &counts, decided, reported), 0);
	CU_ASSERT_EQUAL(area->packets[0].verdict, HK_VERDICT_DROP);
	CU_ASSERT_EQUAL(area->packets[0].rule, 23);
	CU_ASSERT_EQUAL(area->packets[1].verdict, HK_VERDICT_ACCEPT);
	CU_ASSERT_EQUAL(area->packets[2].verdict, HK_VERDICT_DROP);
	CU_ASSERT_EQUAL(area->packets[3].verdict, HK_VERDICT_ACCEPT);
	CU_ASSERT_EQUAL(decided[0], 0);
	CU_ASSERT_EQUAL(decided[1], 0xff);
	CU_ASSERT_EQUAL(area->batch.event_count, 2);
	CU_ASSERT_EQUAL(reported[1], 0);
	CU_ASSERT_STRING_EQUAL(area->events[0].message, "connection to watched port 23");
	CU_ASSERT_EQUAL(counts.hook_drops[0], 2);
	CU_ASSERT_EQUAL(counts.hook_errors[0], 0);
	CU_ASSERT_EQUAL_FATAL(hk_hook_chain_stats(chain, 0, stats, 8), 2);
	CU_ASSERT_EQUAL(stats[0].value, 3);
	CU_ASSERT_EQUAL(stats[1].value, 2);
	hk_hook_chain_free(chain);
	setup_close(&s);
	free(area);
}

static void example_survives_a_reload(void)
{
	struct batch_area *area = batch_new();
	__u8 decided[HK_HOOK_BATCH_MAX], reported[BATCH_EVENTS];
	struct hk_hook_chain *old = NULL, *now = NULL, *other = NULL;
	struct hk_counts counts = {0};
	struct hk_hook_stat stats[2];
	struct setup s, t;

	CU_ASSERT_EQUAL_FATAL(load_example(&s, &old, "23"), 0);
	batch_add(area, 6, "10.0.0.1", 40000, "10.0.0.2", 23, "x", 1)->tcp_flags = 0x02;
	CU_ASSERT_EQUAL(hk_hook_chain_run(old, 0, &area->batch, &counts, decided, reported), 0);
	CU_ASSERT_EQUAL_FATAL(hk_hook_chain_new(&now, &s.config, &s.files, 2, &s.error), 0);
	CU_ASSERT_PTR_NOT_EQUAL(now->places[0].code.hook, old->places[0].code.hook);
	hk_hook_chain_adopt(now, old);
	CU_ASSERT_EQUAL(hk_hook_chain_stats(now, 0, stats, 2), 2);
	CU_ASSERT_EQUAL(stats[1].value, 1);
	/* another build's state is not read */
	CU_ASSERT_EQUAL_FATAL(load_example(&t, &other, "23"), 0);
	hk_hook_chain_adopt(other, old);
	CU_ASSERT_EQUAL(hk_hook_chain_stats(other, 0, stats, 2), 2);
	CU_ASSERT_EQUAL(stats[1].value, 0);
	hk_hook_chain_free(old);
	hk_hook_chain_free(now);
	hk_hook_chain_free(other);
	setup_close(&s);
	setup_close(&t);
	free(area);
}

static void refuses(int result, struct setup *s, struct hk_hook_chain *chain, const char *a, const char *b)
{
	CU_ASSERT(result < 0);
	CU_ASSERT_PTR_NULL(chain);
	if (!strstr(s->error.text, a) || !strstr(s->error.text, b)) {
		printf("# said: %s\n", s->error.text);
		CU_FAIL("the sentence lacks a word");
	}
	setup_close(s);
}

static void example_refuses_its_settings(void)
{
	struct hk_hook_chain *chain = NULL;
	struct setup s;

	refuses(load_example(&s, &chain, "23\nseventy\n"), &s, chain, "ports.txt:2", "\"seventy\"");
	refuses(load_example(&s, &chain, "65536"), &s, chain, "ports.txt:1", "65536");
	refuses(load_example(&s, &chain, NULL), &s, chain, "./hook.so", "settings");
}

/* The first eight bytes of the hook table are its ABI number and packet size. */
static __u8 *find_table(__u8 *bytes, size_t size)
{
	__u32 want[2] = {HK_HOOK_ABI, sizeof(struct hk_hook_packet)};

	return memmem(bytes, size, want, sizeof(want));
}

static void refuses_another_abi(void)
{
	static __u8 bytes[sizeof(example)];
	size_t size = read_example(bytes, sizeof(bytes));
	__u8 *table = find_table(bytes, size);
	struct hk_hook_chain *chain = NULL;
	struct setup s;

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	table[0] = 99;
	refuses(load_bytes(&s, &chain, bytes, size, "23"), &s, chain, "./hook.so", "ABI 99");
	table[0] = HK_HOOK_ABI;
	table[4] = 200;
	refuses(load_bytes(&s, &chain, bytes, size, "23"), &s, chain, "200 bytes", "192");
}

static void refuses_what_is_no_hook(void)
{
	static __u8 bytes[sizeof(example)];
	size_t size = read_example(bytes, sizeof(bytes)), i;
	struct hk_hook_chain *chain = NULL;
	struct setup s;

	for (i = 0; i + 8 < size; i++)
		if (memcmp(bytes + i, "hk_hook", 8) == 0)
			bytes[i] = 'n';
	refuses(load_bytes(&s, &chain, bytes, size, "23"), &s, chain, "./hook.so", "no symbol hk_hook");
	refuses(load_bytes(&s, &chain, "no object", 9, "23"), &s, chain, "./hook.so", "cannot be loaded");
	refuses(load_bytes(&s, &chain, "", 0, NULL), &s, chain, "./hook.so", "cannot be loaded");
	setup_init(&s);
	s.rows[0].use = "./missing.so";
	s.config.hooks_count = 1;
	refuses(hk_hook_chain_new(&chain, &s.config, &s.files, 1, &s.error), &s, chain, "./missing.so",
		"not opened");
	setup_init(&s);
	s.rows[0].use = "sorcery";
	s.config.hooks_count = 1;
	refuses(hk_hook_chain_new(&chain, &s.config, &s.files, 1, &s.error), &s, chain, "sorcery",
		"not built in");
}

static int load_shaper(
	struct setup *s, struct hk_hook_chain **chain, const char *classes, unsigned mode, unsigned workers)
{
	setup_init(s);
	setup_file(s, "shaper.yaml", classes, strlen(classes));
	s->config.mode = (__u8)mode;
	s->rows[0] = s->rows[1] = (struct hk_hook_config){.use = "shaper", .settings = "shaper.yaml"};
	s->config.hooks_count = 2;
	return hk_hook_chain_new(chain, &s->config, &s->files, workers, &s->error);
}

#define TWO_CLASSES(queue) \
	"classes: [{name: a, rate: 1mbit, queue: " queue "}, {name: b, rate: 1mbit, queue: " queue "}]"

static void delays_need_inline_and_room(void)
{
	struct hk_hook_chain *chain = NULL;
	struct setup s;

	refuses(load_shaper(&s, &chain, TWO_CLASSES("100"), HK_MODE_MONITOR, 1), &s, chain, "\"shaper\"",
		"mode monitor");
	refuses(load_shaper(&s, &chain, TWO_CLASSES("100"), HK_MODE_PASSIVE, 1), &s, chain, "\"shaper\"",
		"mode passive");
	refuses(load_shaper(&s, &chain, TWO_CLASSES("1025"), HK_MODE_INLINE, 1), &s, chain, "4100 packets",
		"8192 frames");
	/* exactly half fits one worker; a second one may add a batch */
	refuses(load_shaper(&s, &chain, TWO_CLASSES("1024"), HK_MODE_INLINE, 2), &s, chain, "4224 packets",
		"8448");
	CU_ASSERT_EQUAL_FATAL(load_shaper(&s, &chain, TWO_CLASSES("1024"), HK_MODE_INLINE, 1), 0);
	CU_ASSERT_EQUAL(hk_hook_chain_classes(chain), 4);
	CU_ASSERT_EQUAL(hk_hook_chain_delayed_max(chain), 4096);
	CU_ASSERT_EQUAL(chain->places[1].class_base, 2);
	hk_hook_chain_free(chain);
	setup_close(&s);
}

static void domains_are_found_by_name(void)
{
	static const char rules[] = "rules: [{match: {domain: east}, action: drop}]";
	struct batch_area *area = batch_new();
	__u8 decided[HK_HOOK_BATCH_MAX], reported[BATCH_EVENTS];
	struct hk_counts counts = {0};
	struct hk_hook_chain *chain = NULL;
	struct setup s;

	setup_init(&s);
	setup_file(&s, "firewall.yaml", rules, strlen(rules));
	s.rows[0] = (struct hk_hook_config){.use = "firewall", .settings = "firewall.yaml"};
	s.config.hooks_count = 1;
	CU_ASSERT_EQUAL_FATAL(hk_hook_chain_new(&chain, &s.config, &s.files, 1, &s.error), 0);
	batch_add(area, 6, "10.0.0.1", 1, "10.0.0.2", 23, "x", 1)->domain = 7;
	batch_add(area, 6, "10.0.0.1", 1, "10.0.0.2", 23, "x", 1)->domain = 8;
	CU_ASSERT_EQUAL(hk_hook_chain_run(chain, 0, &area->batch, &counts, decided, reported), 0);
	CU_ASSERT_EQUAL(area->packets[0].verdict, HK_VERDICT_DROP);
	CU_ASSERT_EQUAL(area->packets[1].verdict, HK_VERDICT_ACCEPT);
	hk_hook_chain_free(chain);
	setup_close(&s);
	chain = NULL;
	setup_init(&s);
	s.domain.name = "west";
	setup_file(&s, "firewall.yaml", rules, strlen(rules));
	s.rows[0] = (struct hk_hook_config){.use = "firewall", .settings = "firewall.yaml"};
	s.config.hooks_count = 1;
	refuses(hk_hook_chain_new(&chain, &s.config, &s.files, 1, &s.error), &s, chain, "firewall.yaml",
		"\"east\"");
	free(area);
}

/* What the documentation shows is what the hooks take. */
static void example_files_load(void)
{
	static const char *const rows[][2] = {{"firewall", "docs/examples/firewall.yaml"},
		{"signatures", "docs/examples/local.rules"}, {"shaper", "docs/examples/shaper.yaml"}};
	struct hk_hook_chain *chain = NULL;
	struct setup s;
	unsigned i;
	int code;

	setup_init(&s);
	for (i = 0; i < 3; i++) {
		s.rows[i].use = (char *)rows[i][0];
		s.rows[i].settings = (char *)rows[i][1];
		s.file_rows[s.files.count++] = (struct hk_file){.kind = HK_FILE_SETTINGS,
			.path = (char *)rows[i][1],
			.fd = open(rows[i][1], O_RDONLY | O_CLOEXEC)};
	}
	s.config.hooks_count = 3;
	code = hk_hook_chain_new(&chain, &s.config, &s.files, 4, &s.error);
	if (code)
		printf("# said: %s\n", s.error.text);
	CU_ASSERT_EQUAL(code, 0);
	hk_hook_chain_free(chain);
	setup_close(&s);
}

/* --- hooks made here, in a chain made by hand ------------------------------------------------- */

struct actor {
	void (*act)(struct hk_hook_batch *batch);
	int answer;
};

static int actor_process(void *state, unsigned worker, struct hk_hook_batch *batch)
{
	const struct actor *actor = state;

	(void)worker;
	if (actor->act)
		actor->act(batch);
	return actor->answer;
}

static void actor_destroy(void *state)
{
	(void)state;
}

static const struct hk_hook actor_hook = {
	.name = "actor", .process = actor_process, .destroy = actor_destroy};

static struct hk_hook_chain make_chain(struct actor *actors, unsigned count)
{
	struct hk_hook_chain chain = {.length = count};
	unsigned i;

	for (i = 0; i < count; i++)
		chain.places[i] = (struct hk_hook_place){
			.code.hook = &actor_hook, .state = &actors[i], .class_base = 4 * i, .class_count = 4};
	return chain;
}

static void drop_first(struct hk_hook_batch *batch)
{
	struct hk_hook_packet *packet = hk_hook_packet(batch, 0);

	hk_hook_drop(packet, 11);
	packet->flow_verdict = HK_VERDICT_DROP;
	packet->flow_lifetime_ms = 1000;
	hk_hook_delay(hk_hook_packet(batch, 1), 1, 5000);
}

static void accept_all(struct hk_hook_batch *batch)
{
	__u32 i;

	for (i = 0; i < batch->packet_count; i++) {
		struct hk_hook_packet *packet = hk_hook_packet(batch, i);

		packet->verdict = HK_VERDICT_ACCEPT;
		packet->rule = 99;
		packet->release_ns = 0;
		packet->flow_verdict = HK_VERDICT_ACCEPT;
		packet->flow_lifetime_ms = 60000;
	}
}

static void delay_all(struct hk_hook_batch *batch)
{
	__u32 i;

	for (i = 0; i < batch->packet_count; i++)
		hk_hook_delay(hk_hook_packet(batch, i), 9, i == 1 ? 4000 : 9000);
}

static void delay_earlier(struct hk_hook_batch *batch)
{
	__u32 i;

	for (i = 0; i < batch->packet_count; i++) {
		struct hk_hook_packet *packet = hk_hook_packet(batch, i);

		packet->verdict = HK_VERDICT_DELAY;
		packet->delay_class = 13;
		packet->release_ns = 1;
	}
}

static struct batch_area *three_packets(void)
{
	struct batch_area *area = batch_new();

	batch_add(area, 17, "10.0.0.1", 1, "10.0.0.2", 2, "a", 1);
	batch_add(area, 17, "10.0.0.1", 1, "10.0.0.2", 2, "b", 1);
	batch_add(area, 17, "10.0.0.1", 1, "10.0.0.2", 2, "c", 1);
	return area;
}

static void verdicts_are_never_weakened(void)
{
	struct actor actors[] = {{drop_first, 0}, {accept_all, 0}, {delay_all, 0}, {delay_earlier, 0}};
	struct hk_hook_chain chain = make_chain(actors, 4);
	struct batch_area *area = three_packets();
	__u8 decided[HK_HOOK_BATCH_MAX], reported[BATCH_EVENTS];
	struct hk_counts counts = {0};
	struct hk_hook_packet *p = area->packets;

	CU_ASSERT_EQUAL(hk_hook_chain_run(&chain, 0, &area->batch, &counts, decided, reported), 0);
	CU_ASSERT(p[0].verdict == HK_VERDICT_DROP && p[0].rule == 11 && decided[0] == 0);
	CU_ASSERT(p[0].flow_verdict == HK_VERDICT_DROP && p[0].flow_lifetime_ms == 1000);
	CU_ASSERT(p[1].verdict == HK_VERDICT_DELAY && p[1].release_ns == 5000);
	CU_ASSERT(p[1].delay_class == 1 && decided[1] == 0 && p[1].flow_lifetime_ms == 0);
	CU_ASSERT(p[2].verdict == HK_VERDICT_DELAY && p[2].release_ns == 9000);
	CU_ASSERT(p[2].delay_class == 9 && decided[2] == 2);
	CU_ASSERT(counts.hook_drops[0] == 1 && counts.hook_delays[0] == 1 && counts.hook_delays[2] == 1);
	CU_ASSERT(counts.hook_drops[1] == 0 && counts.hook_delays[1] == 0 && counts.hook_delays[3] == 0);
	free(area);
}

static void report_one(struct hk_hook_batch *batch)
{
	struct hk_hook_event *event = hk_hook_report(batch, 2);

	memset(event->message, 'A', sizeof(event->message));
	memset(event->category, 'B', sizeof(event->category));
}

static void an_error_is_the_batch_s(void)
{
	struct actor actors[] = {{report_one, 0}, {report_one, 0}, {report_one, -1}, {drop_first, 0}};
	struct hk_hook_chain chain = make_chain(actors, 4);
	struct batch_area *area = three_packets();
	__u8 decided[HK_HOOK_BATCH_MAX], reported[BATCH_EVENTS];
	struct hk_counts counts = {0};

	CU_ASSERT_EQUAL(hk_hook_chain_run(&chain, 0, &area->batch, &counts, decided, reported), 3);
	CU_ASSERT(counts.hook_errors[2] == 1 && counts.hook_errors[0] == 0);
	CU_ASSERT(counts.hook_drops[3] == 0 && counts.hook_drops[0] == 0);
	CU_ASSERT_EQUAL(area->batch.event_count, 2);
	CU_ASSERT(reported[0] == 0 && reported[1] == 1);
	CU_ASSERT_EQUAL(strlen(area->events[1].message), sizeof(area->events[1].message) - 1);
	CU_ASSERT_EQUAL(strlen(area->events[1].category), sizeof(area->events[1].category) - 1);
	free(area);
}

static void bad_verdict(struct hk_hook_batch *batch)
{
	hk_hook_packet(batch, 1)->verdict = 3;
}

static void bad_class(struct hk_hook_batch *batch)
{
	hk_hook_delay(hk_hook_packet(batch, 1), 4, 100);
}

static void bad_flow(struct hk_hook_batch *batch)
{
	hk_hook_packet(batch, 0)->flow_verdict = HK_VERDICT_DELAY;
	hk_hook_packet(batch, 0)->flow_lifetime_ms = 1;
}

static void bad_event(struct hk_hook_batch *batch)
{
	hk_hook_report(batch, 3);
}

static void bad_count(struct hk_hook_batch *batch)
{
	batch->event_count = batch->event_capacity + 1;
}

static void nonsense_is_an_error(void)
{
	struct actor actors[] = {
		{bad_verdict, 0}, {bad_class, 0}, {bad_flow, 0}, {bad_event, 0}, {bad_count, 0}};
	__u8 decided[HK_HOOK_BATCH_MAX], reported[BATCH_EVENTS];
	unsigned i;

	for (i = 0; i < sizeof(actors) / sizeof(actors[0]); i++) {
		struct hk_hook_chain chain = make_chain(&actors[i], 1);
		struct batch_area *area = three_packets();
		struct hk_counts counts = {0};

		CU_ASSERT_EQUAL(hk_hook_chain_run(&chain, 0, &area->batch, &counts, decided, reported), 1);
		CU_ASSERT_EQUAL(counts.hook_errors[0], 1);
		CU_ASSERT_EQUAL(area->batch.event_count, 0);
		free(area);
	}
}

static void scribble_header(struct hk_hook_batch *batch)
{
	batch->packet_count = 0xffffffff;
	batch->packet_offset = 0x7fffffff;
	batch->event_stride = 0;
	batch->event_lost = 5;
}

static void the_header_is_the_core_s(void)
{
	struct actor actors[] = {{scribble_header, 0}, {drop_first, 0}};
	struct hk_hook_chain chain = make_chain(actors, 2);
	struct batch_area *area = three_packets();
	__u8 decided[HK_HOOK_BATCH_MAX], reported[BATCH_EVENTS];
	struct hk_counts counts = {0};

	/* the second hook's class 1 belongs to the first: an error, found in an intact batch */
	CU_ASSERT_EQUAL(hk_hook_chain_run(&chain, 0, &area->batch, &counts, decided, reported), 2);
	CU_ASSERT_EQUAL(area->batch.packet_count, 3);
	CU_ASSERT_EQUAL(area->batch.packet_offset, offsetof(struct batch_area, packets));
	CU_ASSERT_EQUAL(area->batch.event_stride, sizeof(struct hk_hook_event));
	CU_ASSERT_EQUAL(area->batch.event_lost, 5);
	free(area);
}

int main(void)
{
	static const struct test tests[] = {
		{"the example hook loads from its descriptor, drops and reports", example_loads_and_drops},
		{"a reload keeps its counters, another build's state is not read", example_survives_a_reload},
		{"its settings are refused with file, line and value", example_refuses_its_settings},
		{"another ABI or packet size is refused", refuses_another_abi},
		{"what is no hook is refused", refuses_what_is_no_hook},
		{"delays need inline mode and half the frames", delays_need_inline_and_room},
		{"a hook finds domains by name", domains_are_found_by_name},
		{"the documented settings files load", example_files_load},
		{"a later hook never weakens a verdict", verdicts_are_never_weakened},
		{"a hook's error is the whole batch's", an_error_is_the_batch_s},
		{"nonsense from a hook is an error", nonsense_is_an_error},
		{"a hook cannot change the batch's header", the_header_is_the_core_s},
		{0},
	};

	return run_tests("hooks", tests);
}
