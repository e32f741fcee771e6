// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The open stage: from frames to plaintext, a batch through each step together.
 * Packets are grouped by master key for the derivation and by cipher for the
 * opening, so that 64 packets of 64 SPIs cost what 64 of one cost. A packet
 * that fails a step has its reason and takes no part in the next.
 */
#include "user/pipeline/internal.h"

#include <string.h>

#include <halfkey/reason.h>

#include "user/base/bytes.h"

#define IP4_HEADER 20
#define IP6_HEADER 40
#define UDP_HEADER 8

#define PREFETCH_AHEAD 4

/* Packets whose keys come from one master key, as a list through `next`. */
struct group {
	const struct hk_kdf_key *master;
	__u8 blocks;
	__u8 first, last;
};

/* What hk_meta_fits() leaves open: whole IP headers in front of the envelope. */
static bool outer_fits(const struct hk_meta *meta)
{
	unsigned network = meta->flags & HK_META_OUTER_V6 ? IP6_HEADER : IP4_HEADER;
	unsigned transport = meta->flags & HK_META_UDP ? UDP_HEADER : 0;

	return meta->l3_offset + network + transport <= meta->envelope_offset;
}

static void read_outer(struct hk_opening *opening)
{
	const __u8 *header = opening->frame + opening->meta->l3_offset;

	if (opening->meta->flags & HK_META_OUTER_V6) {
		opening->outer_src = hk_address_v6(header + 8);
		opening->outer_dst = hk_address_v6(header + 24);
	} else {
		opening->outer_src = hk_address_v4(header + 12);
		opening->outer_dst = hk_address_v4(header + 16);
	}
}

/* `opening->frame` is set once the metadata fits: feeds ask it for the outer addresses. */
static unsigned plan_frame(struct hk_pipeline *pipeline, unsigned i)
{
	const struct hk_frame *frame = &pipeline->frames[i];
	struct hk_opening *opening = &pipeline->openings[i];
	const struct hk_meta *meta = &frame->meta;
	const struct hk_envelope_ops *ops = hk_envelope_ops(meta->envelope);

	opening->frame = NULL;
	opening->variant = 0;
	if (frame->length > pipeline->options.frame_max)
		return HK_REASON_FRAME_SIZE;
	if (!hk_meta_fits(meta, frame->length) || !outer_fits(meta) || !ops || meta->domain >= HK_DOMAINS_MAX)
		return HK_REASON_META_INVALID;
	opening->ops = ops;
	opening->frame = frame->data;
	opening->frame_length = frame->length;
	opening->meta = meta;
	opening->domain = pipeline->inspection->domains[meta->domain];
	read_outer(opening);
	/* a reload may have taken the domain away since XDP looked */
	if (!opening->domain || opening->domain->envelope != meta->envelope)
		return HK_REASON_NO_KEY;
	opening->messages = opening->info_size = opening->refused = 0;
	opening->reader = NULL;
	opening->reader_message = pipeline->reader_messages[i];
	opening->auth = HK_AUTH_NONE;
	opening->suspect = 0;
	opening->not_ip = opening->has_record = opening->part_refused = 0;
	opening->has_material = false;
	opening->aad = NULL;
	return ops->plan(opening, pipeline->inspection->keyring);
}

/* A frame's headers and ICV are on another core when it comes: asked for a few frames ahead. */
static void prefetch_frame(const struct hk_pipeline *pipeline, unsigned i)
{
	const struct hk_frame *frame = &pipeline->frames[i];

	if (i >= pipeline->count)
		return;
	__builtin_prefetch(frame->data);
	__builtin_prefetch(frame->data + 64);
	__builtin_prefetch(frame->data + frame->length - 1);
}

static bool same_meta(const struct hk_meta *a, const struct hk_meta *b)
{
	__u64 x, y;

	/* version, envelope, flags, port, l3_offset, envelope_offset */
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x == y && a->payload_offset == b->payload_offset && a->domain == b->domain;
}

static bool same_ends(const struct hk_opening *before, const __u8 *header)
{
	__u32 ends[2];

	if (before->meta->flags & HK_META_OUTER_V6)
		return memcmp(&before->outer_src, header + 8, 16) == 0 &&
		       memcmp(&before->outer_dst, header + 24, 16) == 0;
	memcpy(ends, header + 12, sizeof(ends));
	return memcmp(before->outer_src.bytes + 12, &ends[0], 4) == 0 &&
	       memcmp(before->outer_dst.bytes + 12, &ends[1], 4) == 0;
}

/* Neighbours are mostly of one kind: what was found out for one need not be found out again. */
static bool plan_like(struct hk_pipeline *pipeline, unsigned i, const struct hk_opening *before)
{
	const struct hk_frame *frame = &pipeline->frames[i];
	struct hk_opening *opening = &pipeline->openings[i];
	const struct hk_meta *meta = &frame->meta;

	if (!before->ops->again || frame->length > pipeline->options.frame_max ||
		!same_meta(meta, before->meta) || meta->end_offset > frame->length ||
		meta->payload_offset > meta->end_offset || !same_ends(before, frame->data + meta->l3_offset))
		return false;
	memcpy((char *)opening + HK_OPENING_SHARED, (const char *)before + HK_OPENING_SHARED,
		HK_OPENING_SHARED_END - HK_OPENING_SHARED);
	opening->frame = frame->data;
	opening->frame_length = frame->length;
	opening->meta = meta;
	opening->auth = HK_AUTH_NONE;
	opening->suspect = 0;
	opening->not_ip = opening->has_record = opening->part_refused = 0;
	opening->has_material = false;
	return opening->ops->again(opening);
}

/* Plans a frame; it writes its PRF messages where those of the one before it end. */
static const struct hk_opening *plan_next(
	struct hk_pipeline *pipeline, unsigned i, const struct hk_opening *before, bool only_masters)
{
	struct hk_opening *opening = &pipeline->openings[i];

	opening->before = before;
	opening->message = pipeline->messages + pipeline->messages_end;
	opening->material = pipeline->derived + pipeline->derived_end;
	if (before && only_masters && plan_like(pipeline, i, before)) {
		pipeline->reasons[i] = HK_REASON_OK;
	} else {
		pipeline->reasons[i] = (__u8)plan_frame(pipeline, i);
		if (pipeline->reasons[i] == HK_REASON_OK && opening->info_size) {
			opening->material = pipeline->expanded[i];
			pipeline->roots++;
		}
		if (pipeline->reasons[i] != HK_REASON_OK || !opening->messages)
			return before;
		pipeline->readers += opening->reader != NULL;
		if (before &&
			(opening->key.master != before->key.master || opening->blocks != before->blocks))
			pipeline->one_master = false;
	}
	if (opening->has_material)
		return opening;
	pipeline->messages_end += opening->messages * opening->blocks * 16u;
	pipeline->derived_end += opening->messages * 16u;
	return opening;
}

static void plan(struct hk_pipeline *pipeline)
{
	bool only_masters = hk_keyring_only_masters(pipeline->inspection->keyring);
	const struct hk_opening *before = NULL;
	unsigned i;

	pipeline->messages_end = pipeline->derived_end = 0;
	pipeline->one_master = true;
	pipeline->roots = pipeline->readers = 0;
	for (i = 0; i < PREFETCH_AHEAD; i++)
		prefetch_frame(pipeline, i);
	for (i = 0; i < pipeline->count; i++) {
		prefetch_frame(pipeline, i + PREFETCH_AHEAD);
		before = plan_next(pipeline, i, before, only_masters);
	}
	pipeline->last = before;
}

/* Sorts packets by master key; most batches have one, so the newest group is asked first. */
static unsigned group_by_master(struct hk_pipeline *pipeline, struct group *groups, __u8 *next)
{
	const struct hk_opening *opening;
	unsigned i, g, count = 0;

	for (i = 0; i < pipeline->count; i++) {
		opening = &pipeline->openings[i];
		if (pipeline->reasons[i] != HK_REASON_OK || !opening->messages || opening->has_material)
			continue;
		next[i] = HK_PIPELINE_NOBODY;
		for (g = 0; g < count; g++)
			if (groups[g].master == opening->key.master && groups[g].blocks == opening->blocks)
				break;
		if (g == count) {
			groups[count++] =
				(struct group){opening->key.master, opening->blocks, (__u8)i, (__u8)i};
		} else {
			next[groups[g].last] = (__u8)i;
			groups[g].last = (__u8)i;
		}
	}
	return count;
}

static void derive_group(struct hk_pipeline *pipeline, const struct group *group, const __u8 *next)
{
	unsigned size = group->blocks * 16u, messages = 0, at = 0, i;
	struct hk_opening *opening;

	for (i = group->first; i != HK_PIPELINE_NOBODY; i = next[i]) {
		opening = &pipeline->openings[i];
		memcpy(pipeline->group_messages + messages * size, opening->message,
			opening->messages * size);
		messages += opening->messages;
	}
	hk_crypto_cmac(pipeline->crypto, group->master, messages, group->blocks, pipeline->group_messages,
		pipeline->group_derived);
	for (i = group->first; i != HK_PIPELINE_NOBODY; i = next[i]) {
		opening = &pipeline->openings[i];
		memcpy(opening->material, pipeline->group_derived + at, opening->messages * 16u);
		at += opening->messages * 16u;
	}
	hk_wipe(pipeline->group_derived, at);
}

/* Roots of EESP SAs: all of the batch in one pass. */
static void expand_roots(struct hk_pipeline *pipeline)
{
	unsigned i, jobs = 0;

	for (i = 0; i < pipeline->count; i++) {
		const struct hk_opening *opening = &pipeline->openings[i];
		struct hk_hkdf_job *job = &pipeline->hkdf[jobs];

		if (pipeline->reasons[i] != HK_REASON_OK || !opening->info_size)
			continue;
		job->key = opening->key.root;
		job->out = opening->material;
		job->info_size = opening->info_size;
		memcpy(job->info, opening->info, sizeof(opening->info));
		jobs++;
	}
	hk_crypto_hkdf(pipeline->crypto, pipeline->hkdf, jobs);
}

/* Reader keys are rare: one at a time. */
static void derive_reader(struct hk_pipeline *pipeline, unsigned i)
{
	struct hk_opening *opening = &pipeline->openings[i];

	opening->reader_material = pipeline->reader_derived[i];
	hk_crypto_cmac(pipeline->crypto, opening->reader, HK_KDF108_MESSAGES, HK_KDF108_BLOCKS,
		opening->reader_message, opening->reader_material);
}

static void derive_readers(struct hk_pipeline *pipeline)
{
	unsigned i;

	for (i = 0; i < pipeline->count; i++)
		if (pipeline->reasons[i] == HK_REASON_OK && pipeline->openings[i].reader)
			derive_reader(pipeline, i);
}

static void derive(struct hk_pipeline *pipeline)
{
	struct group groups[HK_PIPELINE_BATCH];
	__u8 next[HK_PIPELINE_BATCH];
	unsigned g, count;

	if (!pipeline->last)
		return;		    /* nothing to derive */
	if (pipeline->one_master) { /* the messages lie as they are needed */
		hk_crypto_cmac(pipeline->crypto, pipeline->last->key.master, pipeline->derived_end / 16,
			pipeline->last->blocks, pipeline->messages, pipeline->derived);
		return;
	}
	count = group_by_master(pipeline, groups, next);
	for (g = 0; g < count; g++)
		derive_group(pipeline, &groups[g], next);
	hk_wipe(pipeline->messages, pipeline->messages_end);
}

/* Places the plaintext: what was sent in the clear first, the decrypted rest behind it. */
static void place_plain(struct hk_pipeline *pipeline, unsigned i)
{
	struct hk_opening *opening = &pipeline->openings[i];

	opening->plain = hk_pipeline_plain(pipeline, i) + HK_OPEN_HEADROOM;
	opening->plain_length = (__u32)opening->clear_length + opening->cipher_length;
	if (opening->clear_length)
		memcpy(opening->plain, opening->frame + opening->clear_offset, opening->clear_length);
}

static void add_ctr(struct hk_pipeline *pipeline, const struct hk_opening *opening)
{
	struct hk_ctr_job *job = &pipeline->jobs.ctr[pipeline->jobs.ctr_count];

	if (!opening->cipher_length)
		return; /* all of the packet was sent in the clear */
	pipeline->jobs.ctr_count++;
	job->key = opening->cipher_key;
	job->key_size = opening->key_size;
	job->in = opening->frame + opening->cipher_offset;
	job->out = opening->plain + opening->clear_length;
	job->length = opening->cipher_length;
	hk_put_word(job->counter, hk_word(opening->nonce)); /* as it was written */
	hk_put_word(job->counter + 8, hk_word(opening->nonce + 8));
}

static void add_cbc(struct hk_pipeline *pipeline, const struct hk_opening *opening)
{
	struct hk_cbc_job *job = &pipeline->jobs.cbc[pipeline->jobs.cbc_count++];

	job->key = opening->cipher_key;
	job->in = opening->frame + opening->cipher_offset;
	job->out = opening->plain + opening->clear_length;
	job->iv = opening->nonce;
	job->length = opening->cipher_length;
}

static void fill_gcm(struct hk_gcm_job *job, const struct hk_opening *opening)
{
	job->key = opening->cipher_key;
	job->key_size = opening->key_size;
	job->in = opening->frame + opening->cipher_offset;
	job->out = opening->plain + opening->clear_length;
	job->length = opening->cipher_length;
	job->aad = opening->aad ? opening->aad : opening->frame + opening->aad_offset;
	job->aad_length = opening->aad_length;
	job->tag = opening->frame + opening->tag_offset;
	memcpy(job->nonce, opening->nonce, sizeof(job->nonce));
	job->tag_size = HK_GCM_TAG_SIZE;
	job->verified = false;
}

static void add_gcm(struct hk_pipeline *pipeline, const struct hk_opening *opening, unsigned i)
{
	pipeline->jobs.gcm_frame[pipeline->jobs.gcm_count] = (__u8)i;
	fill_gcm(&pipeline->jobs.gcm[pipeline->jobs.gcm_count++], opening);
}

/*
 * The tag behind the ciphertext that a reader may verify (wire-formats 3.1): the
 * GCM tag over what was sent, so what "opening" gives here is noise, and the
 * real opening writes over it.
 */
static bool verify_reader(struct hk_pipeline *pipeline, struct hk_opening *opening)
{
	struct hk_gcm_job job;

	fill_gcm(&job, opening);
	job.key = opening->reader_material;
	job.tag = opening->frame + opening->cipher_offset + opening->cipher_length;
	job.tag_size = HK_DKC_READER_SIZE;
	memcpy(job.nonce, opening->reader_nonce, sizeof(job.nonce));
	hk_crypto_gcm_open(pipeline->crypto, &job, 1);
	hk_wipe(opening->reader_material, HK_KDF108_OUTPUT);
	return job.verified;
}

/* A packet's last doubts before it is opened: what its key material and its reader tag say. */
static bool may_open(struct hk_pipeline *pipeline, unsigned i)
{
	struct hk_opening *opening = &pipeline->openings[i];

	if (opening->refused) {
		if (opening->reader)
			hk_wipe(opening->reader_material, HK_KDF108_OUTPUT);
		pipeline->reasons[i] = opening->refused;
		return false;
	}
	if (!opening->reader)
		return true;
	if (!verify_reader(pipeline, opening)) {
		pipeline->reasons[i] = HK_REASON_READER_TAG;
		return false;
	}
	opening->auth = HK_AUTH_READER;
	return true;
}

static void clear_jobs(struct hk_pipeline *pipeline)
{
	pipeline->jobs.ctr_count = pipeline->jobs.gcm_count = pipeline->jobs.cbc_count = 0;
}

static inline void add_job(struct hk_pipeline *pipeline, unsigned i)
{
	struct hk_opening *opening = &pipeline->openings[i];

	place_plain(pipeline, i);
	opening->ops->cipher(opening);
	if ((opening->refused || opening->reader) && !may_open(pipeline, i))
		return;
	switch (opening->cipher) {
	case HK_CIPHER_CTR: add_ctr(pipeline, opening); break;
	case HK_CIPHER_GCM: add_gcm(pipeline, opening, i); break;
	case HK_CIPHER_CBC: add_cbc(pipeline, opening); break;
	default: break;
	}
}

/* From key material to one job per packet, sorted by cipher. */
static void add_jobs(struct hk_pipeline *pipeline)
{
	unsigned i;

	clear_jobs(pipeline);
	for (i = 0; i < pipeline->count; i++)
		if (pipeline->reasons[i] == HK_REASON_OK)
			add_job(pipeline, i);
}

static void take_verified(struct hk_pipeline *pipeline)
{
	unsigned j, i;

	for (j = 0; j < pipeline->jobs.gcm_count; j++) {
		i = pipeline->jobs.gcm_frame[j];
		if (pipeline->jobs.gcm[j].verified)
			pipeline->openings[i].auth = HK_AUTH_VERIFIED;
		else
			pipeline->reasons[i] = HK_REASON_BAD_ICV;
	}
}

static void run_jobs(struct hk_pipeline *pipeline)
{
	if (pipeline->jobs.ctr_count)
		hk_crypto_ctr(pipeline->crypto, pipeline->jobs.ctr, pipeline->jobs.ctr_count);
	if (pipeline->jobs.cbc_count)
		hk_crypto_cbc(pipeline->crypto, pipeline->jobs.cbc, pipeline->jobs.cbc_count);
	if (pipeline->jobs.gcm_count) {
		hk_crypto_gcm_open(pipeline->crypto, pipeline->jobs.gcm, pipeline->jobs.gcm_count);
		take_verified(pipeline);
	}
}

void hk_pipeline_open(struct hk_pipeline *pipeline)
{
	struct hk_opening *opening;
	unsigned i;

	plan(pipeline);
	derive(pipeline);
	if (pipeline->roots)
		expand_roots(pipeline);
	if (pipeline->readers)
		derive_readers(pipeline);
	add_jobs(pipeline);
	run_jobs(pipeline);
	hk_wipe(pipeline->derived, pipeline->derived_end);
	if (pipeline->roots)
		hk_wipe(pipeline->expanded, sizeof(pipeline->expanded));
	for (i = 0; i < pipeline->count; i++) {
		opening = &pipeline->openings[i];
		if (pipeline->reasons[i] == HK_REASON_OK)
			pipeline->reasons[i] = (__u8)opening->ops->rebuild(opening);
	}
	if (hk_keyring_watched(pipeline->inspection->keyring))
		hk_pipeline_generations(pipeline);
}

/* The messages say nothing of the key, so the plan is the same but for it. */
static unsigned plan_with(struct hk_pipeline *pipeline, unsigned i, const struct hk_key_choice *key)
{
	struct hk_opening *opening = &pipeline->openings[i];
	unsigned reason;

	opening->before = NULL;
	opening->message = pipeline->group_messages;
	opening->material = pipeline->group_derived;
	opening->epoch = NULL;
	reason = plan_frame(pipeline, i);
	if (reason == HK_REASON_OK && !opening->messages)
		return HK_REASON_NO_KEY;
	opening->key = *key;
	if (opening->epoch)
		opening->epoch = hk_keyring_epoch(pipeline->inspection->keyring, key);
	return reason;
}

unsigned hk_pipeline_open_with(struct hk_pipeline *pipeline, unsigned i, const struct hk_key_choice *key)
{
	struct hk_opening *opening = &pipeline->openings[i];
	unsigned reason = plan_with(pipeline, i, key);

	if (reason != HK_REASON_OK)
		return reason;
	if (opening->messages)
		hk_crypto_cmac(pipeline->crypto, key->master, opening->messages, opening->blocks,
			opening->message, opening->material);
	if (opening->reader)
		derive_reader(pipeline, i);
	pipeline->reasons[i] = HK_REASON_OK;
	clear_jobs(pipeline);
	add_job(pipeline, i);
	run_jobs(pipeline);
	hk_wipe(opening->material, opening->messages * 16u);
	return pipeline->reasons[i] == HK_REASON_OK ? opening->ops->rebuild(opening) : pipeline->reasons[i];
}
