// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TSS domains: see options.h. What the sources of TSS define in two ways is
 * chosen here; the defaults are those of the UE Specification 1.0.
 */
#include "user/control/options.h"

#include <stdio.h>

#include "user/base/text.h"

enum word {
	WORD_MODE,
	WORD_SSI,
	WORD_PROTOCOL,
	WORD_KDF_LENGTH,
	WORD_IV_WORD,
	WORD_CONTEXT,
	WORD_UDP_AAD,
	WORD_REKEY_MASK,
	WORD_REKEY_SHIFT,
	WORD_EPOCH,
};

const cyaml_schema_field_t hk_tss_options_fields[] = {
	HK_OPTION("mode", WORD_MODE),
	HK_OPTION("ssi", WORD_SSI),
	HK_OPTION("protocol", WORD_PROTOCOL),
	HK_OPTION("kdf-length", WORD_KDF_LENGTH),
	HK_OPTION("iv-word", WORD_IV_WORD),
	HK_OPTION("context", WORD_CONTEXT),
	HK_OPTION("udp-aad", WORD_UDP_AAD),
	HK_OPTION("rekey-mask", WORD_REKEY_MASK),
	HK_OPTION("rekey-shift", WORD_REKEY_SHIFT),
	HK_OPTION("epoch", WORD_EPOCH),
	HK_OPTION_LIST("servers", HK_TSS_SERVERS_MAX),
	CYAML_FIELD_END,
};

static const char *const modes[] = {"", "cluster", "server", "direct", NULL};
static const char *const lengths[] = {"16", "32", NULL};
static const char *const iv_words[] = {"source", "sdi", NULL};
static const char *const contexts[] = {"large", "small", NULL};
static const char *const aads[] = {"addresses", "header", NULL};

/* `tss.KEY`, one of two words: whether it is the second. */
static int read_switch(struct hk_domain_reading *this, const char *key, enum word word,
	const char *const *names, bool *second)
{
	const char *text = hk_domain_option(this, word);
	char place[32];
	__u8 choice = 0;
	int code;

	snprintf(place, sizeof(place), "tss.%s", key);
	code = hk_read_choice(this->reading, hk_domain_at(this, place), key, text, names, &choice);
	*second = choice == 1;
	return code;
}

static int read_number(
	struct hk_domain_reading *this, const char *key, enum word word, __u64 min, __u64 max, __u64 *out)
{
	char place[32];

	snprintf(place, sizeof(place), "tss.%s", key);
	return hk_read_number(
		this->reading, hk_domain_at(this, place), key, hk_domain_option(this, word), min, max, out);
}

static int read_switches(struct hk_domain_reading *this)
{
	struct hk_tss_options *tss = &this->domain->tss;
	int code;

	if (!hk_domain_option(this, WORD_MODE))
		return hk_domain_refuse(this, NULL,
			"has no `mode` under `tss`: envelope tss needs cluster, server or direct");
	code = hk_read_choice(this->reading, hk_domain_at(this, "tss.mode"), "mode",
		hk_domain_option(this, WORD_MODE), modes, &tss->mode);
	if (!code)
		code = hk_read_boolean(this->reading, hk_domain_at(this, "tss.ssi"), "ssi",
			hk_domain_option(this, WORD_SSI), &tss->ssi);
	if (!code)
		code = read_switch(this, "kdf-length", WORD_KDF_LENGTH, lengths, &tss->long_length);
	if (!code)
		code = read_switch(this, "iv-word", WORD_IV_WORD, iv_words, &tss->iv_sdi);
	if (!code)
		code = read_switch(this, "context", WORD_CONTEXT, contexts, &tss->small_context);
	return code ? code : read_switch(this, "udp-aad", WORD_UDP_AAD, aads, &tss->header_aad);
}

static int read_rekey(struct hk_domain_reading *this)
{
	struct hk_tss_options *tss = &this->domain->tss;
	__u64 shift = 0;
	int code = read_number(this, "rekey-mask", WORD_REKEY_MASK, 0, 0xffffffffffff, &tss->rekey_mask);

	if (!code)
		code = read_number(this, "rekey-shift", WORD_REKEY_SHIFT, 0, 47, &shift);
	if (code)
		return code;
	tss->rekey_shift = (__u8)shift;
	if (tss->rekey_mask && tss->mode != HK_TSS_CLUSTER)
		return hk_domain_refuse(
			this, "tss.rekey-mask", "rekey-mask: keys change by counter in mode cluster alone");
	if (tss->rekey_mask >> shift > 0xffffffff)
		return hk_domain_refuse(this, "tss.rekey-mask",
			"rekey-mask: \"%.20s\" shifted by %llu has more than 32 bits",
			hk_domain_option(this, WORD_REKEY_MASK), (unsigned long long)shift);
	if (tss->rekey_mask >> shift << shift != tss->rekey_mask)
		return hk_domain_refuse(this, "tss.rekey-shift",
			"rekey-shift: %llu shifts bits of the rekey-mask away", (unsigned long long)shift);
	return 0;
}

static int read_numbers(struct hk_domain_reading *this)
{
	struct hk_tss_options *tss = &this->domain->tss;
	__u64 epoch = 0;
	int code = hk_domain_read_protocol(
		this, "tss.protocol", hk_domain_option(this, WORD_PROTOCOL), HK_IP_PROTOCOL_TSS);

	if (!code)
		code = read_number(this, "epoch", WORD_EPOCH, 0, 0xffff, &epoch);
	tss->has_epoch = hk_domain_option(this, WORD_EPOCH);
	tss->epoch = (__u16)epoch;
	return code;
}

static int read_servers(struct hk_domain_reading *this)
{
	const struct hk_raw_options *options = this->raw->options[HK_ENVELOPE_TSS];
	struct hk_tss_options *tss = &this->domain->tss;
	struct hk_prefix *prefix;
	char place[32];
	unsigned i;

	for (i = 0; i < options->list_count; i++) {
		prefix = &tss->servers[i];
		snprintf(place, sizeof(place), "tss.servers[%u]", i);
		if (hk_prefix_parse(options->list[i], prefix))
			return hk_domain_refuse(
				this, place, "servers: \"%.64s\" is no address or prefix", options->list[i]);
	}
	tss->servers_count = options->list_count;
	if (tss->mode == HK_TSS_SERVER && !tss->servers_count)
		return hk_domain_refuse(this, NULL,
			"has no `servers` under `tss`: in mode server the key is the client's, so say who "
			"serves");
	if (tss->mode != HK_TSS_SERVER && tss->servers_count)
		return hk_domain_refuse(this, "tss.servers", "servers: means something in mode server alone");
	return 0;
}

int hk_domain_check_tss(struct hk_domain_reading *this)
{
	const struct hk_raw_domain *raw = this->raw;
	int code;

	if (raw->suite)
		return hk_domain_refuse(this, "suite",
			"suite: \"%.20s\" means nothing in envelope tss: it is AES-256-GCM, split or single",
			raw->suite);
	if (this->domain->esn)
		return hk_domain_refuse(this, "esn", "esn: TSS sends its whole counter");
	code = read_switches(this);
	if (!code)
		code = read_rekey(this);
	if (!code)
		code = read_numbers(this);
	if (!code)
		code = read_servers(this);
	this->domain->options = this->domain->tss.ssi ? HK_TSS_OPTION_SSI : 0;
	return code ? code : hk_domain_read_mkid(this, HK_TSS_SDI_MAX);
}
