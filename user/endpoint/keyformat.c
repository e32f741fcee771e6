// SPDX-License-Identifier: GPL-2.0-or-later
/* Explicit ESP keys in other stacks' forms: see keyformat.h. */
#include "user/endpoint/keyformat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/keys/keyfile.h"

static const char *const names[] = {
	[HK_FORMAT_KEYS] = "keys", [HK_FORMAT_XFRM] = "xfrm", [HK_FORMAT_WIRESHARK] = "wireshark"};

static const struct {
	unsigned suite;
	bool salted;
	const char *xfrm_cipher, *xfrm_mac;	      /* `ip xfrm` */
	const char *wireshark_cipher, *wireshark_mac; /* the table's names */
} suites[] = {
	{HK_SUITE_CTR_HMAC, true, "enc 'rfc3686(ctr(aes))'", "auth-trunc 'hmac(sha256)'", "AES-CTR [RFC3686]",
		"HMAC-SHA-256-128 [RFC4868]"},
	{HK_SUITE_CBC_HMAC, false, "enc 'cbc(aes)'", "auth-trunc 'hmac(sha256)'", "AES-CBC [RFC3602]",
		"HMAC-SHA-256-128 [RFC4868]"},
	{HK_SUITE_GCM, true, "aead 'rfc4106(gcm(aes))'", NULL, "AES-GCM with 16 octet ICV [RFC4106]", "NULL"},
};

#define SUITES (sizeof(suites) / sizeof(suites[0]))

int hk_key_format_by_name(const char *name)
{
	unsigned i;

	if (strcmp(name, "strongswan") == 0)
		return HK_FORMAT_WIRESHARK;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -EINVAL;
}

struct state {
	const struct hk_key_formatting *formatting;
	const char *name;
	struct hk_key_line enc; /* waits for its other side */
	bool waiting;
	struct hk_address from;
	bool has_from;
	int count;
};

static void print_hex(FILE *out, const __u8 *bytes, unsigned size)
{
	char hex[65];

	hk_hex_format(bytes, size, hex);
	fputs(hex, out);
	hk_wipe(hex, sizeof(hex));
}

static void print_xfrm(const struct state *state, unsigned suite, const struct hk_key_line *enc,
	const struct hk_key_line *auth)
{
	FILE *out = state->formatting->out;
	char source[HK_ADDRESS_TEXT], destination[HK_ADDRESS_TEXT];

	fprintf(out,
		"ip xfrm state add src %s dst %s proto esp spi 0x%08x reqid %u mode %s replay-window 32 ",
		hk_address_format(&state->from, source),
		hk_address_format(&enc->receiver.address, destination), enc->spi, state->formatting->reqid,
		state->formatting->transport ? "transport" : "tunnel");
	if (suites[suite].xfrm_mac && auth) {
		fprintf(out, "%s 0x", suites[suite].xfrm_mac);
		print_hex(out, auth->key, auth->key_size);
		fprintf(out, " 128 ");
	}
	fprintf(out, "%s 0x", suites[suite].xfrm_cipher);
	print_hex(out, enc->key, enc->key_size);
	if (suites[suite].salted)
		print_hex(out, enc->salt, sizeof(enc->salt));
	fprintf(out, "%s%s\n", suites[suite].xfrm_mac ? "" : " 128",
		state->formatting->udp ? " encap espinudp 4500 4500 0.0.0.0" : "");
}

static void print_wireshark(const struct state *state, unsigned suite, const struct hk_key_line *enc,
	const struct hk_key_line *auth)
{
	FILE *out = state->formatting->out;
	char source[HK_ADDRESS_TEXT], destination[HK_ADDRESS_TEXT];

	fprintf(out, "\"%s\",\"%s\",\"%s\",\"0x%08x\",\"%s\",\"0x",
		hk_address_is_v4(&state->from) ? "IPv4" : "IPv6", hk_address_format(&state->from, source),
		hk_address_format(&enc->receiver.address, destination), enc->spi,
		suites[suite].wireshark_cipher);
	print_hex(out, enc->key, enc->key_size);
	if (suites[suite].salted)
		print_hex(out, enc->salt, sizeof(enc->salt));
	fprintf(out, "\",\"%s\",\"%s", suites[suite].wireshark_mac, suites[suite].xfrm_mac ? "0x" : "");
	if (suites[suite].xfrm_mac && auth)
		print_hex(out, auth->key, auth->key_size);
	fprintf(out, "\"\n");
}

static int print(struct state *state, const struct hk_key_line *enc, const struct hk_key_line *auth,
	struct hk_error *error)
{
	unsigned suite = 0;

	while (suite < SUITES && suites[suite].suite != enc->suite)
		suite++;
	if (suite == SUITES)
		return hk_error_set(error, ENOTSUP,
			"%s: SPI 0x%08x: no stock stack has this version or suite: use ctr-hmac, cbc-hmac or "
			"gcm",
			state->name, enc->spi);
	if (!state->has_from)
		return hk_error_set(
			error, EINVAL, "SPI 0x%08x: whose is it? Name the sender with --from", enc->spi);
	if (state->formatting->format == HK_FORMAT_XFRM)
		print_xfrm(state, suite, enc, auth);
	else
		print_wireshark(state, suite, enc, auth);
	state->count++;
	return 0;
}

static int take(void *context, const struct hk_key_line *line, struct hk_error *error)
{
	struct state *state = context;
	bool fits = state->waiting && state->enc.spi == line->spi && state->enc.suite == line->suite;
	int status = 0;

	if (!line->is_explicit)
		return 0;
	if (line->side == HK_SIDE_AUTH && fits) {
		status = print(state, &state->enc, line, error);
		hk_wipe(&state->enc, sizeof(state->enc));
		state->waiting = false;
		return status;
	}
	if (state->waiting || line->side == HK_SIDE_AUTH)
		return hk_error_set(
			error, EINVAL, "%s: SPI 0x%08x: one side without the other", state->name, line->spi);
	if (line->side == HK_SIDE_SINGLE)
		return print(state, line, NULL, error);
	state->enc = *line;
	state->waiting = true;
	return 0;
}

/* `# from=ADDRESS ...` names the sender of what follows. */
static void read_comment(struct state *state, const char *line)
{
	char text[HK_ADDRESS_TEXT] = "";

	if (sscanf(line, "# from=%45s", text) == 1 && !hk_address_parse(text, &state->from))
		state->has_from = true;
}

int hk_key_format(const struct hk_key_formatting *formatting, const char *name, const char *lines,
	struct hk_error *error)
{
	struct state state = {.formatting = formatting,
		.name = name,
		.from = formatting->from,
		.has_from = formatting->has_from};
	char line[512];
	int status = 0;

	if (formatting->format == HK_FORMAT_KEYS) {
		fputs(lines, formatting->out);
		return 0;
	}
	while (*lines && !status) {
		size_t size = strcspn(lines, "\n");

		if (size >= sizeof(line))
			return hk_error_set(error, EINVAL, "%s: a line of %zu bytes", name, size);
		memcpy(line, lines, size);
		line[size] = '\0';
		lines += size + (lines[size] == '\n');
		if (line[0] == '#')
			read_comment(&state, line);
		else
			status = hk_keyfile_read(name, line, error, take, &state);
	}
	hk_wipe(line, sizeof(line));
	if (!status && state.waiting)
		status = hk_error_set(
			error, EINVAL, "%s: SPI 0x%08x: one side without the other", name, state.enc.spi);
	hk_wipe(&state.enc, sizeof(state.enc));
	return status ? status : state.count;
}

void hk_key_format_gone(const struct hk_key_formatting *formatting, const struct hk_address *from,
	const struct hk_address *to, __u32 spi)
{
	char source[HK_ADDRESS_TEXT], destination[HK_ADDRESS_TEXT];

	if (formatting->format == HK_FORMAT_XFRM)
		fprintf(formatting->out, "ip xfrm state delete src %s dst %s proto esp spi 0x%08x\n",
			hk_address_format(from, source), hk_address_format(to, destination), spi);
}
