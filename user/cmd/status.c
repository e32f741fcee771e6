// SPDX-License-Identifier: GPL-2.0-or-later
/* `halfkey status`: what a running halfkeyd is and how it does. */
#include "user/cmd/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "user/base/text.h"
#include "user/cmd/keys_notes.h"
#include "user/cmd/table.h"
#include "user/dataplane/pins.h"

static void print_keys(const json_t *status)
{
	long long next = hk_number_of(json_object_get(status, "inspection"), "next_key_time"),
		  dropped = hk_number_of(json_object_get(status, "processes"), "keys_dropped");
	char span[HK_KEY_TIME], when[HK_KEY_TIME];

	if (next)
		printf("  keys: a time comes or goes in %s, at %s (`halfkey keys list` says whose)\n",
			hk_key_span_text(next - (long long)time(NULL), span), hk_key_time_text(next, when));
	if (dropped)
		printf("  %lld key%s of the control socket DROPPED after repeated crashes: push %s again, a "
		       "few "
		       "at a time, and look at the log\n",
			dropped, hk_plural(dropped), dropped == 1 ? "it" : "them");
}

static void print_head(const json_t *status)
{
	const json_t *processes = json_object_get(status, "processes"),
		     *reloads = json_object_get(status, "reloads");
	long long workers = hk_number_of(processes, "workers"), done = hk_number_of(reloads, "done"),
		  refused = hk_number_of(processes, "calls_refused"),
		  keys = hk_number_of(json_object_get(status, "inspection"), "keys");

	printf("halfkeyd %s, instance %s, mode %s, %s\n", hk_text_of(status, "version"),
		hk_text_of(status, "instance"), hk_text_of(status, "mode"),
		json_is_true(json_object_get(status, "armed")) ? "inspecting"
							       : "NOT INSPECTING: the fail policy rules");
	printf("  starter %lld, up %lld s; inspector %lld, up %lld s, %lld replaced after a crash\n",
		hk_number_of(processes, "starter"), hk_number_of(processes, "uptime_s"),
		hk_number_of(processes, "inspector"), hk_number_of(processes, "inspector_age_s"),
		hk_number_of(processes, "restarts"));
	printf("  %lld worker%s, crypto %s, %lld key%s, memory %s\n", workers, hk_plural(workers),
		hk_text_of(status, "crypto"), keys, hk_plural(keys),
		json_is_true(json_object_get(status, "memory_locked")) ? "locked"
								       : "NOT locked: keys may reach swap");
	print_keys(status);
	printf("  seccomp %s, %lld system call%s refused\n", hk_text_of(status, "seccomp"), refused,
		hk_plural(refused));
	printf("  configuration %s, %lld reload%s, %lld refused%s%s\n", hk_text_of(status, "configuration"),
		done, hk_plural(done), hk_number_of(reloads, "failed"),
		hk_text_of(reloads, "last_error")[0] ? "; the last: " : "",
		hk_text_of(reloads, "last_error"));
	printf("  maps %s\n", hk_text_of(status, "pins"));
}

static void print_names(const char *label, const json_t *names)
{
	size_t i;

	printf("  %s", label);
	for (i = 0; i < json_array_size(names); i++)
		printf("%s%s", i ? ", " : " ", json_string_value(json_array_get(names, i)));
	puts(json_array_size(names) ? "" : " none");
}

static void add_queues(struct hk_table *table, const json_t *port)
{
	const json_t *queues = json_object_get(port, "queues"), *queue, *frames, *kernel;
	size_t i;

	for (i = 0; i < json_array_size(queues); i++) {
		queue = json_array_get(queues, i);
		frames = json_object_get(queue, "frames");
		kernel = json_object_get(queue, "kernel");
		hk_table_add(table, "%s|%zu|%s|%s|%lld|%lld of %lld|%lld", hk_text_of(port, "name"), i,
			json_is_true(json_object_get(queue, "socket")) ? "yes" : "NO",
			json_is_true(json_object_get(queue, "zero_copy")) ? "zero" : "copy",
			hk_number_of(queue, "beat_age_ms"), hk_number_of(frames, "free"),
			hk_number_of(frames, "total"),
			hk_number_of(kernel, "rx_dropped") + hk_number_of(kernel, "rx_ring_full") +
				hk_number_of(kernel, "rx_invalid"));
	}
}

static void add_port(struct hk_table *table, const json_t *port)
{
	long long mbit = hk_number_of(port, "speed_mbit");
	char speed[32] = "-";

	if (mbit >= 1000)
		snprintf(speed, sizeof(speed), "%g Gbit/s", (double)mbit / 1000);
	else if (mbit)
		snprintf(speed, sizeof(speed), "%lld Mbit/s", mbit);
	hk_table_add(table, "%s|%s|%s|%s|%s|%s|%zu", hk_text_of(port, "name"),
		strcmp(hk_text_of(port, "link"), "up") == 0 ? "up" : "DOWN", speed,
		hk_text_of(port, "driver"), hk_text_of(port, "xdp"), hk_text_of(port, "attached_by"),
		json_array_size(json_object_get(port, "queues")));
}

static void print_ports(const json_t *ports)
{
	struct hk_table table;
	size_t i;

	hk_table_start(&table, "port|link|speed|driver|xdp|attached by|queues");
	for (i = 0; i < json_array_size(ports); i++)
		add_port(&table, json_array_get(ports, i));
	putchar('\n');
	hk_table_print(&table, 2);
	hk_table_start(&table, "port|queue|socket|copy|beat ms|frames free|lost");
	for (i = 0; i < json_array_size(ports); i++)
		add_queues(&table, json_array_get(ports, i));
	putchar('\n');
	hk_table_print(&table, 2);
}

/* Nobody answers, and yet packets pass: whoever asks at such a time wants to know why. */
static void print_pinned(const struct hk_options *options)
{
	const char *instance = options->instance ? options->instance : "default";
	struct hk_error error = {""};
	struct hk_pins pins;
	int found;

	if (options->socket || options->config)
		return; /* names a socket, not what is pinned */
	found = hk_pins_find(&pins, instance, 0, &error);
	if (found == 0)
		fprintf(stderr,
			"its XDP program is still in place: traffic goes by the `worker-dead` policy, "
			"uninspected; start halfkeyd to adopt it, or `halfkey detach -i %s` to take it "
			"away\n",
			instance);
	else if (found == -EBUSY)
		fprintf(stderr, "it runs, with a control socket elsewhere: -c FILE finds it\n");
	if (found == 0)
		hk_pins_close(&pins);
}

static int run(int argc, char **argv)
{
	struct hk_options options;
	const json_t *inspection;
	json_t *status;
	int code = hk_options_parse(&options, &hk_command_status, argc, argv);

	if (code < 0)
		code = hk_refuse_more(&options, argc, argv);
	if (code >= 0)
		return code;
	status = hk_ask_daemon(&options, json_pack("{s:s}", "command", "status"));
	if (!status) {
		print_pinned(&options);
		return HK_EXIT_FAILED;
	}
	if (options.json) {
		hk_print_json(status);
	} else {
		inspection = json_object_get(status, "inspection");
		print_head(status);
		print_names("domains", json_object_get(inspection, "domains"));
		print_names("hooks", json_object_get(inspection, "hooks"));
		print_ports(json_object_get(status, "ports"));
	}
	json_decref(status);
	return HK_EXIT_DONE;
}

static const struct hk_option rows[] = {
	HK_OPTIONS_DAEMON,
	HK_OPTION_JSON,
	{0},
};

const struct hk_command hk_command_status = {
	.name = "status",
	.summary = "show what a running halfkeyd is and how it does",
	.help = "usage: halfkey status [-i INSTANCE | -s SOCKET | -c FILE] [-j]\n"
		"\n"
		"Processes, ports with their link and the XDP mode really in use, queues, heartbeats,\n"
		"reloads, system calls refused.\n"
		"Exit status 1 when no halfkeyd answers.\n",
	.options = rows,
	.example = "\n"
		   "example: halfkey status -i lab\n",
	.run = run,
};
