// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `halfkey-endpoint seal`: seals the packets of a capture, as a host would have
 * sent them. Packets that are not to be sealed are copied as they are; one bad
 * packet never stops the run.
 */
#include <errno.h>
#include <stdio.h>

#include "user/base/text.h"
#include "user/endpoint/capture_run.h"
#include "user/endpoint/commands.h"

static const char help[] =
	"usage: halfkey-endpoint seal [-e NAME] --keys FILE [OPTION]... IN.pcap OUT.pcap\n"
	"\n"
	"Seals the IP packets of a capture; timestamps are kept. What is not sealed is copied.\n";

static const struct hk_option options[] = {
	{"envelope", 'e', "NAME", HK_RUN_AT(envelope), NULL, "psp (default), or another below"},
	{"keys", 'k', "FILE", HK_RUN_AT(keys_path), NULL, "the sending host's key file (mode 0600)"},
	{"levels", 0, "NAME,...", HK_RUN_AT(levels), NULL,
		"with level= lines in it: the levels, in their order"},
	{"from", 'f', "ADDRESS", HK_RUN_AT(from_text), NULL, "outer source"},
	{"to", 't', "ADDRESS", HK_RUN_AT(to_text), NULL,
		"outer destination: the receiver whose keys are used"},
	{"match", 'm', "PREFIX", HK_RUN_AT(match_text), NULL,
		"seal only packets whose destination it holds (default: all)"},
	{"state", 0, "DIR", HK_RUN_AT(state), NULL, "nonce state (default: /var/lib/halfkey-endpoint)"},
	{"first-use", 0, NULL, HK_RUN_AT(first_use), NULL,
		"this sender never sealed anything: create its nonce state"},
	{"sender", 0, "NAME", HK_RUN_AT(sender), NULL,
		"who seals (default: the --from address); an SPI has one sender"},
	{"json", 'j', NULL, HK_RUN_AT(json), NULL, "what was done, as JSON"},
	{0},
};

static const char example[] =
	"\n"
	"example: halfkey-endpoint seal --first-use -k keys/client.keys -f 192.0.2.1 -t "
	"192.0.2.9 in.pcap out.pcap\n";

static struct hk_sender *sender;

static int choose_spi(struct hk_capture_run *run, struct hk_sending *sending, struct hk_error *error)
{
	__u64 spi;

	if (hk_wish(&run->wishes, "spi")) {
		if (hk_wish_number(&run->wishes, "spi", 0, 0xffffffff, &spi, error))
			return -EINVAL;
		sending->spi = (__u32)spi;
		return 0;
	}
	if (hk_sender_spis(run->speech, sending, &sending->spi, 1))
		return 0;
	return hk_error_set(error, ENOKEY,
		"%s: no explicit key to send to %s: with its master keys in the file, name an SPI with --spi",
		run->keys_path, run->to_text);
}

/* Whoever names state relies on it. */
static int judge_state(const struct hk_capture_run *run, struct hk_error *error)
{
	const char *said = run->first_use ? "first-use"
			   : run->state	  ? "state"
			   : run->sender  ? "sender"
					  : NULL;

	if (!said || run->speaker->start)
		return 0;
	return hk_error_set(error, HK_EUSAGE,
		"--%s is of no use with -e %s, which keeps no nonce state: leave it out", said,
		hk_envelope_name(run->speaker->envelope));
}

static int start(struct hk_capture_run *run, struct hk_error *error)
{
	struct hk_sending sending = {
		.keys = run->keys,
		.source = run->keys_path,
		.to = run->to_text ? &run->to : NULL,
		.wishes = &run->wishes,
	};
	struct hk_state_place place = hk_capture_run_place(run);
	int status = judge_state(run, error);

	if (!status)
		status = choose_spi(run, &sending, error);
	if (!status)
		status = hk_sender_new(&sender, run->speech, &sending, error);
	return status ? status : hk_sender_start(sender, &place, error);
}

static int take(struct hk_capture_run *run, const struct pcap_pkthdr *header, const __u8 *frame,
	const __u8 *ip, __u32 length, struct hk_error *error)
{
	int size = hk_sender_seal_packet(sender, ip, length, run->opened, HK_RUN_PACKET_MAX);

	if (size == -EOVERFLOW)
		return hk_error_set(error, EOVERFLOW,
			"SPI 0x%08x has no numbers left: take another one, or new keys", sender->spi);
	if (size == -EKEYEXPIRED)
		return hk_error_set(error, EKEYEXPIRED,
			"SPI 0x%08x: the time of its key is over (not-after): seal with new keys",
			sender->spi);
	if (size == -EROFS)
		return hk_error_set(error, EIO, "SPI 0x%08x: the nonce state cannot be written", sender->spi);
	if (size == -ENOMSG)
		hk_capture_run_copy(run, header, frame);
	else if (size < 0)
		run->refused++; /* in a capture of sealed traffic nothing of it may stand open */
	else
		hk_capture_run_write(run, header, frame, run->opened, (__u32)size);
	return 0;
}

static int report(const struct hk_capture_run *run)
{
	char spi[32] = "";

	if (sender->spi)
		snprintf(spi, sizeof(spi), " (SPI 0x%08x)", sender->spi);
	if (run->json)
		printf("{\"envelope\": \"%s\", \"spi\": %u, \"sealed\": %lu, \"copied\": %lu, \"refused\": "
		       "%lu}\n",
			hk_envelope_name(run->speaker->envelope), sender->spi, run->done, run->copied,
			run->refused);
	else
		printf("sealed %lu, copied %lu, refused and left out %lu packets%s\n", run->done, run->copied,
			run->refused, spi);
	return 0;
}

static void end(struct hk_capture_run *run)
{
	(void)run;
	hk_sender_free(sender, true);
	sender = NULL;
}

int hk_endpoint_seal(int argc, char **argv)
{
	static const struct hk_capture_work work = {
		HK_USE_SEAL, help, example, options, start, take, report, end};

	return hk_capture_run_command(&work, argc, argv);
}
