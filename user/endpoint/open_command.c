// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `halfkey-endpoint open`: verifies and opens the sealed packets of a capture, as
 * the receiving host would have: replays, other senders and all. What is not in
 * this envelope is copied, what is refused is left out and counted by its reason.
 */
#include <stdio.h>

#include "user/base/text.h"
#include "user/endpoint/capture_run.h"
#include "user/endpoint/commands.h"

static const char help[] =
	"usage: halfkey-endpoint open [-e NAME] --keys FILE [OPTION]... IN.pcap OUT.pcap\n"
	"\n"
	"Verifies and opens the sealed packets of a capture; timestamps are kept. What is not sealed\n"
	"is copied; what is refused is left out, and the exit status is 1.\n";

static const struct hk_option options[] = {
	{"envelope", 'e', "NAME", HK_RUN_AT(envelope), NULL, "psp (default), or another below"},
	{"keys", 'k', "FILE", HK_RUN_AT(keys_path), NULL, "the receiving host's key file (mode 0600)"},
	{"levels", 0, "NAME,...", HK_RUN_AT(levels), NULL,
		"with level= lines in it: the levels, in their order"},
	{"to", 't', "ADDRESS", HK_RUN_AT(to_text), NULL,
		"the receiver whose keys are used: packets to it are opened"},
	{"match", 'm', "PREFIX", HK_RUN_AT(match_text), NULL,
		"open only packets whose destination it holds (default: all)"},
	{"json", 'j', NULL, HK_RUN_AT(json), NULL, "what was done, as JSON: each refusal with its count"},
	{0},
};

static const char example[] =
	"\n"
	"example: halfkey-endpoint open -k keys/server.keys -t 192.0.2.9 sealed.pcap opened.pcap\n";

static struct hk_receiver *receiver;

static int start(struct hk_capture_run *run, struct hk_error *error)
{
	struct hk_state_place place = hk_capture_run_place(run);

	return hk_receiver_new(&receiver, run->speech, run->keys, &place, error);
}

static int take(struct hk_capture_run *run, const struct pcap_pkthdr *header, const __u8 *frame,
	const __u8 *ip, __u32 length, struct hk_error *error)
{
	struct hk_opened opened = {0};
	struct hk_sealed sealed;
	unsigned refusal = hk_sealed_outer(ip, length, &sealed);

	(void)error; /* a packet that cannot be opened is counted, and no error */
	refusal = hk_receiver_open(receiver, refusal, &sealed, run->opened, &opened);
	if (refusal == HK_REFUSAL_NOT_SEALED)
		hk_capture_run_copy(run, header, frame);
	else if (refusal)
		run->refused++;
	else
		hk_capture_run_write(run, header, frame, opened.inner, opened.length);
	return 0;
}

static void report_json(const struct hk_capture_run *run)
{
	unsigned i;

	printf("{\"envelope\": \"%s\", \"opened\": %lu, \"copied\": %lu, \"refused\": {",
		hk_envelope_name(run->speaker->envelope), run->done, run->copied);
	for (i = 1; i < HK_REFUSAL_COUNT; i++)
		printf("%s\"%s\": %llu", i > 1 ? ", " : "", hk_refusal_name(i),
			(unsigned long long)receiver->counts[i]);
	printf("}}\n");
}

static int report(const struct hk_capture_run *run)
{
	unsigned i;

	if (run->json) {
		report_json(run);
		return run->refused ? 1 : 0;
	}
	printf("opened %lu, copied %lu, refused and left out %lu packets\n", run->done, run->copied,
		run->refused);
	for (i = 1; i < HK_REFUSAL_COUNT; i++)
		if (receiver->counts[i] && i != HK_REFUSAL_NOT_SEALED)
			printf("  %llu %s: %s\n", (unsigned long long)receiver->counts[i], hk_refusal_name(i),
				hk_refusal_text(i));
	return run->refused ? 1 : 0;
}

static void end(struct hk_capture_run *run)
{
	(void)run;
	hk_receiver_free(receiver);
	receiver = NULL;
}

int hk_endpoint_open(int argc, char **argv)
{
	static const struct hk_capture_work work = {
		HK_USE_OPEN, help, example, options, start, take, report, end};

	return hk_capture_run_command(&work, argc, argv);
}
