// SPDX-License-Identifier: GPL-2.0-or-later
/* The capture a command reads and the one it writes: see captures.h. */
#include "user/endpoint/captures.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define FRAME_MAX (65536 + 14)

static bool same_file(const char *one, const char *two)
{
	struct stat a, b;

	return !stat(one, &a) && !stat(two, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int open_in(struct hk_captures *captures, const char *path, bool raw, struct hk_error *error)
{
	char text[PCAP_ERRBUF_SIZE];

	captures->in = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, text);
	if (!captures->in)
		return hk_error_set(error, EINVAL, "%s: cannot read the capture: %s", path, text);
	captures->link = pcap_datalink(captures->in);
	if (captures->link == DLT_EN10MB || (raw && captures->link == DLT_RAW))
		return 0;
	return hk_error_set(error, EINVAL, "%s: link type %s: must be Ethernet%s", path,
		pcap_datalink_val_to_name(captures->link), raw ? " or raw IP" : "");
}

int hk_captures_open(struct hk_captures *captures, const char *in_path, const char *out_path, bool raw,
	struct hk_error *error)
{
	int status;

	captures->in_path = in_path;
	captures->out_path = out_path;
	if (same_file(in_path, out_path))
		return hk_error_set(
			error, EINVAL, "%s: is the capture to read as well: name another to write", out_path);
	status = open_in(captures, in_path, raw, error);
	if (status)
		return status;
	captures->dead =
		pcap_open_dead_with_tstamp_precision(captures->link, FRAME_MAX, PCAP_TSTAMP_PRECISION_NANO);
	captures->out = captures->dead ? pcap_dump_open(captures->dead, out_path) : NULL;
	if (!captures->out)
		return hk_error_set(error, EIO, "%s: cannot write the capture: %s", out_path,
			captures->dead ? pcap_geterr(captures->dead) : strerror(ENOMEM));
	return 0;
}

int hk_captures_each(struct hk_captures *captures,
	int (*take)(
		void *context, const struct pcap_pkthdr *header, const u_char *frame, struct hk_error *error),
	void *context, struct hk_error *error)
{
	struct pcap_pkthdr *header;
	const u_char *frame;
	int got = 0, status = 0;

	while (!status && (got = pcap_next_ex(captures->in, &header, &frame)) == 1)
		status = take(context, header, frame, error);
	if (!status && got == PCAP_ERROR)
		status = hk_error_set(error, EIO, "%s: %s", captures->in_path, pcap_geterr(captures->in));
	if (pcap_dump_flush(captures->out) && !status)
		status = hk_error_set(error, EIO, "%s: cannot write all of it", captures->out_path);
	return status;
}

void hk_captures_close(struct hk_captures *captures)
{
	if (captures->out)
		pcap_dump_close(captures->out);
	if (captures->dead)
		pcap_close(captures->dead);
	if (captures->in)
		pcap_close(captures->in);
	*captures = (struct hk_captures){0};
}
