// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Domains of inline keying: see options.h. All of `inline` is optional: the
 * number that names a creation header, and how much may be created.
 */
#include "user/control/options.h"

#include "user/keys/children.h"

enum word { WORD_NEXT_HEADER, WORD_CHILDREN, WORD_CREATIONS };

const cyaml_schema_field_t hk_inline_options_fields[] = {
	HK_OPTION("next-header", WORD_NEXT_HEADER),
	HK_OPTION("children", WORD_CHILDREN),
	HK_OPTION("creations", WORD_CREATIONS),
	CYAML_FIELD_END,
};

static int read_number(struct hk_domain_reading *this, const char *key, enum word word, __u64 max, __u64 *out)
{
	return hk_read_number(
		this->reading, hk_domain_at(this, key), key, hk_domain_option(this, word), 1, max, out);
}

/* Numbers that say something else already: what is inside would be read as a header, or the reverse. */
static int check_next_header(struct hk_domain_reading *this, __u64 number)
{
	switch (number) {
	case 4:
	case 6:
	case 17:
	case 41:
	case 59:
		return hk_domain_refuse(this, "inline.next-header",
			"inline.next-header: %u is IP, TCP, UDP or \"nothing\": take a number of your own, "
			"as 254 or 253",
			(unsigned)number);
	default: return 0;
	}
}

int hk_domain_check_inline(struct hk_domain_reading *this)
{
	const struct hk_raw_domain *raw = this->raw;
	struct hk_inline_options *options = &this->domain->inline_keying;
	__u64 next_header = HK_CREATION_NEXT, children = HK_CHILDREN_PER_PARENT,
	      creations = HK_CREATIONS_PER_SECRET;
	int code;

	if (raw->suite)
		return hk_domain_refuse(this, "suite",
			"suite: \"%.20s\" means nothing in envelope inline: it is always gcm-split",
			raw->suite);
	if (raw->mkid)
		return hk_domain_refuse(this, "mkid",
			"mkid: \"%.20s\" means nothing in envelope inline: each parent has its own secret",
			raw->mkid);
	if (this->domain->profile != HK_PROFILE_SPLIT)
		return hk_domain_refuse(
			this, "profile", "profile: envelope inline is split: there is no single key");
	if (this->domain->esn)
		return hk_domain_refuse(this, "esn", "esn: inline keying has no extended sequence numbers");
	code = read_number(this, "inline.next-header", WORD_NEXT_HEADER, 255, &next_header);
	if (!code)
		code = check_next_header(this, next_header);
	if (!code)
		code = read_number(this, "inline.children", WORD_CHILDREN, HK_CHILDREN_MAX, &children);
	if (!code)
		code = read_number(this, "inline.creations", WORD_CREATIONS, 0xffffffff, &creations);
	if (code)
		return code;
	options->next_header = (__u8)next_header;
	options->children = (__u32)children;
	options->creations = (__u32)creations;
	return 0;
}
