// SPDX-License-Identifier: GPL-2.0-or-later
/* The envelopes that `halfkey-endpoint keygen` makes keys for, one row each: see keygen.h. */
#include <errno.h>
#include <string.h>

#include "user/base/text.h"
#include "user/endpoint/keygen.h"

#define SINGLE(keygen) ((keygen)->profile == HK_PROFILE_SINGLE)

/* --- PSP --- */

static int judge_psp(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	__u64 version = SINGLE(keygen) ? HK_PSP_GCM_256 : HK_PSP_SPLIT_256;

	if (hk_keygen_number(wishes, HK_KEYGEN_VERSION, 0, 15, &version, error))
		return -EINVAL;
	keygen->variant = (__u8)version;
	if (hk_sa_profile(HK_ENVELOPE_PSP, keygen->variant) != keygen->profile)
		return hk_error_set(error, EINVAL,
			"version '%u' is not of the profile '%s': split has versions 4 and 5, single 0 and 1",
			keygen->variant, hk_profile_name(keygen->profile));
	return 0;
}

static void say_tunnel_psp(const struct hk_keygen *keygen, struct hk_secret_text *text)
{
	hk_secret_say(text, "version: %u\n", keygen->variant);
}

/* --- ESP --- */

static int judge_esp(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	const char *wish = wishes->value[HK_KEYGEN_SUITE];
	int suite = SINGLE(keygen) ? HK_SUITE_GCM : HK_SUITE_CTR_HMAC;

	if (wish)
		suite = hk_suite_by_name(wish);
	keygen->variant = (__u8)(suite > 0 ? suite : 0);
	if (hk_sa_profile(HK_ENVELOPE_ESP, keygen->variant) != keygen->profile)
		return hk_error_set(error, EINVAL,
			"suite '%.40s' is not of the profile '%s': split has ctr-hmac, gcm-split and "
			"cbc-hmac, "
			"single gcm",
			wish, hk_profile_name(keygen->profile));
	if (strcmp(keygen->carrier, "udp") != 0 && strcmp(keygen->carrier, "ip") != 0)
		return hk_error_set(error, EINVAL, "carrier '%.40s': must be udp or ip", keygen->carrier);
	return 0;
}

static void say_domain_esp(const struct hk_keygen *keygen, struct hk_secret_text *text)
{
	hk_secret_say(text, "    suite: %s\n    mkid: %u\n", hk_suite_name(keygen->variant), keygen->mkid);
}

static void say_tunnel_esp(const struct hk_keygen *keygen, struct hk_secret_text *text)
{
	hk_secret_say(text, "suite: %s\nmkid: %u\ncarrier: %s\n", hk_suite_name(keygen->variant),
		keygen->mkid, keygen->carrier);
}

/* --- EESP, WESP, inline keying --- */

static int judge_eesp(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	__u64 protocol = 0;

	if (hk_keygen_number(wishes, HK_KEYGEN_PROTOCOL, 1, 254, &protocol, error))
		return -EINVAL;
	keygen->protocol = (__u8)protocol;
	if (keygen->reader && SINGLE(keygen))
		return hk_error_set(error, EINVAL,
			"--reader: only where the profile is split: a single key verifies all");
	return 0;
}

static void say_domain_eesp(const struct hk_keygen *keygen, struct hk_secret_text *text)
{
	if (keygen->protocol)
		hk_secret_say(text, "    eesp: {protocol: %u}\n", keygen->protocol);
}

static void say_tunnel_eesp(const struct hk_keygen *keygen, struct hk_secret_text *text)
{
	if (keygen->reader)
		hk_secret_say(text, "reader: yes\n");
}

static void say_tunnel_inline(const struct hk_keygen *keygen, struct hk_secret_text *text)
{
	(void)keygen;
	(void)text;
}

static int judge_inline(
	struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	(void)wishes;
	return SINGLE(keygen) ? hk_error_set(error, EINVAL,
					"profile 'single': inline keying is split: it has no single key")
			      : 0;
}

/* --- DTLS --- */

static int judge_dtls(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	__u64 port = 4433;

	if (hk_keygen_number(wishes, HK_KEYGEN_PORT, 1, 65535, &port, error))
		return -EINVAL;
	keygen->port = (__u16)port;
	return 0;
}

static void say_domain_dtls(const struct hk_keygen *keygen, struct hk_secret_text *text)
{
	hk_secret_say(text, "    dtls: {port: %u}\n", keygen->port);
}

/* --- TSS --- */

static int judge_receivers(struct hk_keygen *keygen, struct hk_error *error)
{
	struct hk_prefix prefix;
	unsigned i, k;

	for (i = 0; i < keygen->receivers_count; i++) {
		if (hk_prefix_parse(keygen->receivers[i], &prefix))
			return hk_error_set(error, EINVAL, "receiver '%.60s': must be an address or a prefix",
				keygen->receivers[i]);
		for (k = 0; k < i; k++)
			if (strcmp(keygen->receivers[i], keygen->receivers[k]) == 0)
				return hk_error_set(
					error, EINVAL, "receiver '%.60s' stands twice", keygen->receivers[i]);
	}
	return i ? 0 : hk_error_set(error, EINVAL, "no --receiver: whose packets does the box see?");
}

static int judge_tss(struct hk_keygen *keygen, const struct hk_keygen_wishes *wishes, struct hk_error *error)
{
	__u64 sdi = 0;
	int status;

	if (!wishes->value[HK_KEYGEN_SDI] || !keygen->tss_text)
		return hk_error_set(error, EINVAL, "envelope 'tss' needs --%s",
			wishes->value[HK_KEYGEN_SDI] ? "tss" : "sdi");
	if (hk_keygen_number(wishes, HK_KEYGEN_SDI, 0, HK_TSS_SDI_MAX, &sdi, error))
		return -EINVAL;
	keygen->mkid = (__u32)sdi;
	status = hk_tss_setup_parse(&keygen->tss, keygen->tss_text, error);
	return status ? status : judge_receivers(keygen, error);
}

/* "a+b" as a YAML list. */
static void say_list(struct hk_secret_text *text, const char *words)
{
	const char *before = "[";
	size_t length;

	for (; *words; words += length + (words[length] == '+')) {
		length = strcspn(words, "+");
		hk_secret_say(text, "%s\"%.*s\"", before, (int)length, words);
		before = ", ";
	}
	hk_secret_say(text, "]\n");
}

/* The words of --tss as a YAML mapping: its keys and values are the same. */
static void say_domain_tss(const struct hk_keygen *keygen, struct hk_secret_text *text)
{
	char copy[1024], *rest = NULL, *word, *value;

	strncpy(copy, keygen->tss_text, sizeof(copy) - 1); /* it was parsed: it fits */
	copy[sizeof(copy) - 1] = '\0';
	hk_secret_say(text, "    tss:\n");
	for (word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		value = strchr(word, '=');
		*value++ = '\0';
		hk_secret_say(text, "      %s: ", word);
		if (strcmp(word, "servers") == 0)
			say_list(text, value);
		else
			hk_secret_say(text, "%s\n", value);
	}
}

/* --- the table --- */

#define HOSTS (HK_KEYGEN_BIT(PEER) | HK_KEYGEN_BIT(DROP) | HK_KEYGEN_BIT(PROFILE))
#define SLOTS (HK_KEYGEN_BIT(SLOT) | HK_KEYGEN_BIT(LEVEL))

static const struct hk_keygen_row rows[] = {
	{.envelope = HK_ENVELOPE_PSP,
		.share = HK_KEYGEN_BY_RECEIVER,
		.slots = 2,
		.derives = true,
		.options = HOSTS | SLOTS | HK_KEYGEN_BIT(VERSION) | HK_KEYGEN_BIT(SPIS),
		.judge = judge_psp,
		.say_tunnel = say_tunnel_psp},
	{.envelope = HK_ENVELOPE_ESP,
		.share = HK_KEYGEN_BY_RECEIVER,
		.slots = 4,
		.derives = true,
		.id_max = 0xffff,
		.options = HOSTS | SLOTS | HK_KEYGEN_BIT(SUITE) | HK_KEYGEN_BIT(MKID) |
			   HK_KEYGEN_BIT(CARRIER) | HK_KEYGEN_BIT(SPIS),
		.judge = judge_esp,
		.say_domain = say_domain_esp,
		.say_tunnel = say_tunnel_esp},
	{.envelope = HK_ENVELOPE_EESP,
		.share = HK_KEYGEN_BY_DIRECTION,
		.slots = 4,
		.ids = true,
		.id_max = 0xffffffff,
		.options =
			HOSTS | SLOTS | HK_KEYGEN_BIT(MKID) | HK_KEYGEN_BIT(READER) | HK_KEYGEN_BIT(PROTOCOL),
		.judge = judge_eesp,
		.say_domain = say_domain_eesp,
		.say_tunnel = say_tunnel_eesp},
	{.envelope = HK_ENVELOPE_EESP,
		.sub_sa = true,
		.share = HK_KEYGEN_BY_DIRECTION,
		.roots = true,
		.options = HOSTS | HK_KEYGEN_BIT(SUB_SA) | HK_KEYGEN_BIT(PROTOCOL),
		.judge = judge_eesp,
		.say_domain = say_domain_eesp,
		.say_tunnel = say_tunnel_eesp},
	{.envelope = HK_ENVELOPE_WESP,
		.share = HK_KEYGEN_BY_DIRECTION,
		.slots = 4,
		.ids = true,
		.id_max = 0xffffffff,
		.options = HOSTS | SLOTS | HK_KEYGEN_BIT(MKID) | HK_KEYGEN_BIT(READER),
		.judge = judge_eesp,
		.say_tunnel = say_tunnel_eesp},
	{.envelope = HK_ENVELOPE_INLINE,
		.share = HK_KEYGEN_BY_DIRECTION,
		.roots = true,
		.options = HOSTS,
		.judge = judge_inline,
		.say_tunnel = say_tunnel_inline},
	{.envelope = HK_ENVELOPE_DTLS,
		.share = HK_KEYGEN_BY_PAIR,
		.ids = true,
		.id_max = 0xffff,
		.options = HOSTS | HK_KEYGEN_BIT(MKID) | HK_KEYGEN_BIT(PORT) | HK_KEYGEN_BIT(LEVEL),
		.judge = judge_dtls,
		.say_domain = say_domain_dtls},
	{.envelope = HK_ENVELOPE_TSS,
		.share = HK_KEYGEN_BY_DOMAIN,
		.slots = 2,
		.ids = true,
		.options = SLOTS | HK_KEYGEN_BIT(PROFILE) | HK_KEYGEN_BIT(SDI) | HK_KEYGEN_BIT(TSS) |
			   HK_KEYGEN_BIT(RECEIVER),
		.judge = judge_tss,
		.say_domain = say_domain_tss},
	{.envelope = HK_ENVELOPE_TLS,
		.nothing =
			"both ends of a TLS connection make its keys in their handshake; give the box their "
			"key log (SSLKEYLOGFILE) as `keys:` of a tls domain"},
};

const struct hk_keygen_row *hk_keygen_row(const char *envelope, bool sub_sa)
{
	const struct hk_keygen_row *found = NULL;
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(hk_envelope_name(rows[i].envelope), envelope) == 0 &&
			(!found || rows[i].sub_sa == sub_sa))
			found = &rows[i];
	return found;
}
