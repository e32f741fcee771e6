// SPDX-License-Identifier: GPL-2.0-or-later
/* What `seal` and `open` share: see capture_run.h. */
#include "user/endpoint/capture_run.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "user/base/text.h"
#include "user/endpoint/commands.h"
#include "user/endpoint/inner.h"

/* --- options -------------------------------------------------------------------------------------- */

static int take_wish(const struct hk_option *option, void *into, const char *text, struct hk_error *error)
{
	struct hk_capture_run *run = into;

	(void)error;
	hk_wish_set(&run->wishes, (unsigned)option->place, text);
	return 0;
}

/* 0, 1 when help was printed, or negative errno and a sentence. */
static int read_options(struct hk_capture_run *run, const struct hk_capture_work *work, int argc, char **argv,
	struct hk_error *error)
{
	const struct hk_command_line line = {
		work->help, work->example, work->options, work->use, take_wish, true};
	int status = hk_command_line_read(&line, run, argc, argv, error);

	if (status)
		return status;
	if (argc - optind != 2)
		return hk_error_set(error, HK_EUSAGE,
			"%d files named: name one capture to read and one to write", argc - optind);
	run->in = argv[optind];
	run->out = argv[optind + 1];
	return 0;
}

/* --- what they come to ---------------------------------------------------------------------------- */

static int judge_address(
	const char *name, const char *text, bool needed, struct hk_address *out, struct hk_error *error)
{
	if (!text && !needed)
		return 0;
	if (!text)
		return hk_error_set(error, HK_EUSAGE, "no --%s: name the outer address, IPv4 or IPv6", name);
	if (hk_address_parse(text, out))
		return hk_error_set(
			error, HK_EUSAGE, "--%s '%s': must be an IPv4 or IPv6 address", name, text);
	return 0;
}

static int judge_addresses(struct hk_capture_run *run, bool seal, struct hk_error *error)
{
	const struct hk_speaker *speaker = run->speaker;

	if (judge_address("to", run->to_text, seal ? speaker->seal_to : speaker->open_to, &run->to, error) ||
		judge_address("from", run->from_text, seal && speaker->seal_from, &run->from, error))
		return -HK_EUSAGE;
	if (seal && run->to_text && run->from_text &&
		hk_address_is_v4(&run->from) != hk_address_is_v4(&run->to))
		return hk_error_set(error, HK_EUSAGE, "--from '%s': not of the same IP version as --to '%s'",
			run->from_text, run->to_text);
	if (run->match_text && hk_prefix_parse(run->match_text, &run->match))
		return hk_error_set(
			error, HK_EUSAGE, "--match '%s': must be an address or a prefix", run->match_text);
	return 0;
}

static int plan(struct hk_capture_run *run, const struct hk_capture_work *work, struct hk_error *error)
{
	bool seal = work->use == HK_USE_SEAL;
	const struct hk_address *local =
		seal ? (run->from_text ? &run->from : NULL) : (run->to_text ? &run->to : NULL);
	int status;

	run->speaker = hk_speaker_find(run->envelope ? run->envelope : "psp", error);
	status = run->speaker ? judge_addresses(run, seal, error) : -HK_EUSAGE;
	if (!status)
		status = hk_speech_plan(&run->speech, run->speaker, &run->wishes, work->use, local, error);
	if (!status && !run->keys_path)
		status = hk_error_set(error, HK_EUSAGE, "no key file: name it with --keys");
	return status ? status : hk_host_keys_load(&run->keys, run->keys_path, run->levels, error);
}

struct hk_state_place hk_capture_run_place(const struct hk_capture_run *run)
{
	return (struct hk_state_place){
		.directory = run->state ? run->state : HK_STATE_DIRECTORY,
		.sender = run->sender	   ? run->sender
			  : run->from_text ? run->from_text
					   : "capture",
		.first_use = run->first_use,
	};
}

/* --- frames --------------------------------------------------------------------------------------- */

static __u32 link_size(const struct hk_capture_run *run)
{
	return run->captures.link == DLT_EN10MB ? 14 : 0;
}

/* Finds the IP packet of a frame, without Ethernet padding. NULL: none that is whole. */
static const __u8 *find_ip(
	const struct hk_capture_run *run, const __u8 *frame, __u32 length, __u32 *ip_length)
{
	__u32 link = link_size(run), total;
	const __u8 *ip = frame + link;

	if (length < link + 20)
		return NULL;
	if (link && hk_get16(frame + 12) != 0x0800 && hk_get16(frame + 12) != 0x86dd)
		return NULL;
	if (ip[0] >> 4 == 4)
		total = hk_get16(ip + 2);
	else if (ip[0] >> 4 == 6 && length >= link + 40)
		total = hk_get16(ip + 4) + 40u;
	else
		return NULL;
	*ip_length = total;
	return total <= length - link && total <= HK_RUN_PACKET_MAX ? ip : NULL;
}

void hk_capture_run_copy(struct hk_capture_run *run, const struct pcap_pkthdr *header, const __u8 *frame)
{
	pcap_dump((u_char *)run->captures.out, header, frame);
	run->copied++;
}

void hk_capture_run_write(struct hk_capture_run *run, const struct pcap_pkthdr *header, const __u8 *frame,
	const __u8 *packet, __u32 length)
{
	struct pcap_pkthdr out = *header;
	__u32 link = link_size(run);

	memmove(run->frame + link, packet, length);
	memcpy(run->frame, frame, link);
	if (link)
		hk_put16(run->frame + 12, run->frame[link] >> 4 == 4 ? 0x0800 : 0x86dd);
	out.caplen = out.len = link + length;
	pcap_dump((u_char *)run->captures.out, &out, run->frame);
	run->done++;
}

struct walk {
	struct hk_capture_run *run;
	const struct hk_capture_work *work;
};

static int take_frame(
	void *context, const struct pcap_pkthdr *header, const u_char *frame, struct hk_error *error)
{
	const struct walk *walk = context;
	struct hk_capture_run *run = walk->run;
	__u32 length = 0;
	const __u8 *ip = find_ip(run, frame, header->caplen, &length);
	struct hk_inner_ip inner;

	if (ip && run->match_text &&
		(hk_inner_ip_parse(ip, length, &inner) || !hk_prefix_holds(&run->match, &inner.destination)))
		ip = NULL;
	if (ip)
		return walk->work->take(run, header, frame, ip, length, error);
	hk_capture_run_copy(run, header, frame);
	return 0;
}

static int run_all(struct hk_capture_run *run, const struct hk_capture_work *work, struct hk_error *error)
{
	struct walk walk = {run, work};
	int status = plan(run, work, error);

	if (!status)
		status = hk_captures_open(&run->captures, run->in, run->out, true, error);
	if (!status)
		status = work->start(run, error);
	return status ? status : hk_captures_each(&run->captures, take_frame, &walk, error);
}

int hk_capture_run_command(const struct hk_capture_work *work, int argc, char **argv)
{
	static struct hk_capture_run run;
	struct hk_error error = {{0}};
	int status, exit_status;

	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* before any key is in memory */
	status = read_options(&run, work, argc, argv, &error);
	if (status == 1)
		return 0;
	if (!status)
		status = run_all(&run, work, &error);
	exit_status = status ? hk_command_end(argv[0], status, &error) : work->report(&run);
	work->end(&run);
	hk_host_keys_free(run.keys);
	hk_speech_end(run.speech);
	hk_captures_close(&run.captures);
	hk_wishes_clear(&run.wishes);
	hk_wipe(&run, sizeof(run));
	return exit_status;
}
