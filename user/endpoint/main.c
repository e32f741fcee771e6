// SPDX-License-Identifier: GPL-2.0-or-later
/* halfkey-endpoint: the end host's commands, one row each. */
#include <stdio.h>
#include <string.h>

#include "user/endpoint/commands.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *text;
} commands[] = {
	{"keygen", hk_endpoint_keygen, "write matching key files for the box and the end hosts"},
	{"keys", hk_endpoint_keys, "fetch keys of a key server, also for stock IPsec hosts"},
	{"keyserver", hk_endpoint_keyserver, "draw, rotate and push keys by role"},
	{"seal", hk_endpoint_seal, "seal the packets of a capture file"},
	{"open", hk_endpoint_open, "verify and open the packets of a capture file"},
	{"tunnel", hk_endpoint_tunnel, "run a TUN tunnel of sealed packets"},
};

#define COUNT (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *out)
{
	size_t i;

	fprintf(out, "usage: halfkey-endpoint COMMAND [OPTION]...\n"
		     "The end host's side of Halfkey: the only program that holds authentication keys.\n\n");
	for (i = 0; i < COUNT; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].text);
	fprintf(out, "\nhalfkey-endpoint COMMAND --help tells more and shows an example; halfkey-endpoint(1) "
		     "tells all.\n"
		     "example: halfkey-endpoint keygen --out keys --peer client=192.0.2.1,10.9.0.1/24 "
		     "--peer server=192.0.2.9,10.9.0.9/24\n");
}

static void unknown(const char *name)
{
	size_t i;

	fprintf(stderr, "halfkey-endpoint: unknown command '%s': use", name);
	for (i = 0; i < COUNT; i++)
		fprintf(stderr, "%s %s", i == 0 ? "" : i + 1 < COUNT ? "," : " or", commands[i].name);
	fputc('\n', stderr);
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		usage(stdout);
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "--version") == 0) {
		puts("halfkey-endpoint " HK_VERSION);
		return 0;
	}
	for (i = 0; argc > 1 && i < COUNT; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	if (argc > 1)
		unknown(argv[1]);
	else
		usage(stderr);
	return 2;
}
