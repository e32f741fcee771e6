// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * "Sees, cannot forge", attacked. The forger holds everything the box holds:
 * the encryption-side master keys, so every Ek and salt there is, and the
 * packets that pass. For each split version and suite it tries to make the end
 * host accept something that the sender did not seal. The host refuses each
 * attempt under the right counter, and afterwards still takes the real packet.
 */
#include "tests/unit/seal_help.h"

#include <errno.h>
#include <stdlib.h>

#include "user/endpoint/host.h"
#include "user/endpoint/protect.h"

#define PACKET_MAX 2048

static struct hk_crypto *crypto;

struct scene {
	struct hk_host_keys *keys, *other_keys;
	struct hk_host *host;  /* the victim */
	struct hk_host *other; /* another receiver, keys of its own */
	struct hk_sa_name name;
	/* what the forger holds: the box's side of the victim's keys, and one packet off the wire */
	struct hk_kdf_key box_key;
	struct hk_sa_keys stolen; /* Ek and salt_e; its `auth` is empty */
	__u8 packet[PACKET_MAX];
	__u32 length, envelope; /* offset of the envelope */
	__u32 text, tag;	/* offsets of ciphertext and ICV */
	/* for making honest packets */
	struct master master;
	__u64 seed;
};

static const struct kind {
	const char *name;
	__u8 envelope, variant;
} kinds[] = {
	{"PSP 4", HK_ENVELOPE_PSP, HK_PSP_SPLIT_128},
	{"PSP 5", HK_ENVELOPE_PSP, HK_PSP_SPLIT_256},
	{"ESP gcm-split", HK_ENVELOPE_ESP, HK_SUITE_GCM_SPLIT},
	{"ESP ctr-hmac", HK_ENVELOPE_ESP, HK_SUITE_CTR_HMAC},
	{"ESP cbc-hmac", HK_ENVELOPE_ESP, HK_SUITE_CBC_HMAC},
};

/* --- the scene ------------------------------------------------------------------------------- */

static struct hk_host_keys *keys_of(const struct master *master, const char *receiver)
{
	char text[1024], enc[65], auth[65];
	struct hk_host_keys *keys = NULL;
	struct hk_error error = {{0}};

	hk_hex_format(master->enc, 32, enc);
	hk_hex_format(master->auth, 32, auth);
	snprintf(text, sizeof(text),
		"receiver=%s slot=0 generation=1 side=enc key=%s\nreceiver=%s slot=0 generation=1 side=auth "
		"key=%s\n",
		receiver, enc, receiver, auth);
	CU_ASSERT_EQUAL_FATAL(hk_host_keys_parse(&keys, "host.keys", text, NULL, &error), 0);
	return keys;
}

static struct hk_host *host_of(const struct hk_host_keys *keys, const struct kind *kind, const char *local)
{
	struct hk_host_options options = {
		.keys = keys,
		.local = address(local),
		.envelope = kind->envelope,
		.profile = HK_PROFILE_SPLIT,
		.suite = kind->variant,
		.mkid = 1,
	};
	struct hk_host *host = hk_host_new(&options);

	CU_ASSERT_PTR_NOT_NULL_FATAL(host);
	return host;
}

/* An honest packet with sequence number and IV `number`. */
static __u32 honest(struct scene *scene, __u64 number, __u8 *out)
{
	struct hk_address from = address("10.0.0.1"), to = address("10.0.0.2");
	struct hk_seal_shape shape = {.source = address("192.0.2.1")};
	struct hk_numbers numbers = {number, (__u32)number};
	struct hk_sa *sa = sa_of(crypto, &scene->name, &scene->master);
	__u8 inner[512];
	__u32 length = inner_udp(&from, &to, &scene->seed, 200, inner);
	int size;

	CU_ASSERT_PTR_NOT_NULL_FATAL(sa);
	size = hk_seal_packet(sa, &shape, &numbers, inner, length, out, PACKET_MAX);
	CU_ASSERT_FATAL(size > 0);
	hk_sa_free(sa);
	return (__u32)size;
}

/* Ek and salt_e as the box derives them: from the encryption side alone. */
static void steal(struct scene *scene)
{
	struct hk_kdf_key nothing;
	__u8 zero[32] = {0};

	scene->box_key = scene->master.enc_key;
	CU_ASSERT_FATAL(!hk_kdf_key_init(&nothing, zero));
	CU_ASSERT_FATAL(
		!hk_sa_derive_keys(&scene->stolen, crypto, &scene->name, &scene->box_key, &nothing, NULL));
	memset(scene->stolen.auth, 0, 32);
	memset(scene->stolen.salt_auth, 0, 4);
}

static void scene_up(struct scene *scene, const struct kind *kind)
{
	struct master other;
	struct hk_sealed sealed;

	memset(scene, 0, sizeof(*scene));
	scene->seed = 4711;
	master_random(&scene->master, &scene->seed);
	master_random(&other, &scene->seed);
	scene->keys = keys_of(&scene->master, "192.0.2.9");
	scene->other_keys = keys_of(&other, "192.0.2.10");
	scene->host = host_of(scene->keys, kind, "192.0.2.9");
	scene->other = host_of(scene->other_keys, kind, "192.0.2.10");
	scene->name = (struct hk_sa_name){kind->envelope, kind->variant, 1, 0x1234, address("192.0.2.9")};
	steal(scene);
	scene->length = honest(scene, 1, scene->packet);
	CU_ASSERT_EQUAL_FATAL(hk_sealed_parse(scene->packet, scene->length, &sealed), HK_REFUSAL_NONE);
	scene->envelope = (__u32)(sealed.data - scene->packet);
	scene->tag = scene->length - 16;
	scene->text = scene->envelope +
		      (kind->envelope == HK_ENVELOPE_ESP && kind->variant == HK_SUITE_CBC_HMAC ? 24 : 16);
}

static void scene_down(struct scene *scene)
{
	hk_host_free(scene->host);
	hk_host_free(scene->other);
	hk_host_keys_free(scene->keys);
	hk_host_keys_free(scene->other_keys);
}

static unsigned deliver(struct hk_host *host, const __u8 *packet, __u32 length)
{
	static __u8 out[HK_OPEN_ROOM(PACKET_MAX)];
	struct hk_opened opened;
	struct hk_sealed sealed;
	unsigned parsed = hk_sealed_parse(packet, length, &sealed);

	return parsed ? parsed : hk_host_open(host, &sealed, out, &opened);
}

/* The host refuses `packet` with `refusal`, and keeps nothing of it. */
static void refused(struct hk_host *host, const __u8 *packet, __u32 length, unsigned refusal)
{
	unsigned before = hk_host_spis(host);

	CU_ASSERT_EQUAL(deliver(host, packet, length), refusal);
	CU_ASSERT_EQUAL(hk_host_spis(host), before);
}

/* After all attempts: nothing got in, the real packet does, and only once. */
static void still_honest(struct scene *scene)
{
	CU_ASSERT_EQUAL(hk_host_spis(scene->host), 0);
	CU_ASSERT_EQUAL(deliver(scene->host, scene->packet, scene->length), HK_REFUSAL_NONE);
	refused(scene->host, scene->packet, scene->length, HK_REFUSAL_REPLAY);
}

static void each_kind(void (*attack)(struct scene *scene, const struct kind *kind))
{
	static struct scene scene;
	unsigned i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		scene_up(&scene, &kinds[i]);
		attack(&scene, &kinds[i]);
		still_honest(&scene);
		scene_down(&scene);
	}
}

/* --- the forger's tools: Ek, and any way of making a tag without Ak --------------------------- */

/* An SA that encrypts with the stolen Ek and tags with a key of the forger's choice. */
static struct hk_sa *forged_sa(const struct scene *scene, const __u8 *tag_key, const __u8 *tag_salt)
{
	struct hk_sa_keys keys = scene->stolen;
	struct hk_sa *sa = NULL;

	memcpy(keys.auth, tag_key, 32);
	memcpy(keys.salt_auth, tag_salt, 4);
	CU_ASSERT_FATAL(!hk_sa_from_keys(&sa, &scene->name, &keys, NULL));
	return sa;
}

static __u32 forge(struct scene *scene, struct hk_sa *sa, __u64 number, __u8 *out)
{
	struct hk_address from = address("10.0.0.1"), to = address("10.0.0.2");
	struct hk_seal_shape shape = {.source = address("192.0.2.1")};
	struct hk_numbers numbers = {number, (__u32)number};
	__u8 inner[512];
	__u32 length = inner_udp(&from, &to, &scene->seed, 200, inner);
	int size = hk_seal_packet(sa, &shape, &numbers, inner, length, out, PACKET_MAX);

	CU_ASSERT_FATAL(size > 0);
	hk_sa_free(sa);
	return (__u32)size;
}

/* AES-GCM's tag under Ek over what the packet's tag covers in the GCM kinds. */
static void gcm_tag(const struct scene *scene, const struct kind *kind, const __u8 *packet, __u8 *tag)
{
	const __u8 *envelope = packet + scene->envelope;
	__u32 aad = kind->envelope == HK_ENVELOPE_PSP ? 16 : 8, size = scene->tag - scene->text;
	__u8 nonce[12], text[PACKET_MAX];
	struct hk_protection protection;
	struct hk_protect_job job = {nonce, nonce, envelope, aad, text, size};

	if (kind->envelope == HK_ENVELOPE_PSP) {
		memcpy(nonce, envelope + 4, 12);
	} else {
		memcpy(nonce, scene->stolen.salt_enc, 4);
		memcpy(nonce + 4, envelope + 8, 8);
	}
	/* With one key on both sides, split GCM is GCM; decrypting first gives the text whose ciphertext this
	 * is. */
	CU_ASSERT_FATAL(!hk_protection_init(
		&protection, HK_SUITE_GCM, scene->stolen.key_size, scene->stolen.enc, NULL));
	memcpy(text, packet + scene->text, size);
	{
		struct hk_ctr_job ctr = {scene->stolen.enc, text, text, size, scene->stolen.key_size, {0}};

		memcpy(ctr.counter, nonce, 12);
		ctr.counter[15] = 2;
		hk_crypto_ctr(crypto, &ctr, 1);
	}
	CU_ASSERT_FATAL(!hk_protection_seal(&protection, &job, tag));
	hk_protection_clear(&protection);
}

/* --- attacks ---------------------------------------------------------------------------------- */

/* Flips bits of the plaintext through the ciphertext, as any holder of nothing can. */
static void attack_bit_flips(struct scene *scene, const struct kind *kind)
{
	__u8 packet[PACKET_MAX];
	__u32 bit;

	(void)kind;
	for (bit = scene->text * 8; bit < scene->length * 8; bit++) {
		memcpy(packet, scene->packet, scene->length);
		packet[bit / 8] ^= (__u8)(1 << bit % 8);
		refused(scene->host, packet, scene->length, HK_REFUSAL_BAD_ICV);
	}
}

/* Every bit of the envelope header: refused, as a structural break or by the ICV. */
static void attack_header(struct scene *scene, const struct kind *kind)
{
	__u8 packet[PACKET_MAX];
	__u32 bit;

	(void)kind;
	for (bit = scene->envelope * 8; bit < scene->text * 8; bit++) {
		memcpy(packet, scene->packet, scene->length);
		packet[bit / 8] ^= (__u8)(1 << bit % 8);
		CU_ASSERT_NOT_EQUAL(deliver(scene->host, packet, scene->length), HK_REFUSAL_NONE);
	}
}

/* Opens with Ek, changes the plaintext, encrypts again, keeps the old tag. */
static void attack_reencrypt_old_tag(struct scene *scene, const struct kind *kind)
{
	__u8 zero[32] = {0}, packet[PACKET_MAX];
	__u32 length = forge(scene, forged_sa(scene, zero, zero), 1, packet);

	(void)kind;
	CU_ASSERT_EQUAL_FATAL(length, scene->length);
	memcpy(packet + scene->tag, scene->packet + scene->tag, 16);
	refused(scene->host, packet, length, HK_REFUSAL_BAD_ICV);
	length = forge(scene, forged_sa(scene, zero, zero), 2, packet); /* a fresh IV */
	memcpy(packet + scene->tag, scene->packet + scene->tag, 16);
	refused(scene->host, packet, length, HK_REFUSAL_BAD_ICV);
}

/* Tags with Ek in Ak's place, with both salts, and with the master key itself. */
static void attack_tag_under_enc_keys(struct scene *scene, const struct kind *kind)
{
	__u8 zero[4] = {0}, packet[PACKET_MAX];
	__u32 length;

	(void)kind;
	length = forge(scene, forged_sa(scene, scene->stolen.enc, scene->stolen.salt_enc), 2, packet);
	refused(scene->host, packet, length, HK_REFUSAL_BAD_ICV);
	length = forge(scene, forged_sa(scene, scene->stolen.enc, zero), 3, packet);
	refused(scene->host, packet, length, HK_REFUSAL_BAD_ICV);
	length = forge(scene, forged_sa(scene, scene->master.enc, scene->stolen.salt_enc), 4, packet);
	refused(scene->host, packet, length, HK_REFUSAL_BAD_ICV);
}

/* Derives "Ak" from the encryption master with the authentication label: the labels are public. */
static void attack_auth_label_on_enc_master(struct scene *scene, const struct kind *kind)
{
	struct hk_sa_keys keys;
	struct hk_sa *sa = NULL;
	__u8 packet[PACKET_MAX];
	__u32 length;

	(void)kind;
	CU_ASSERT_FATAL(
		!hk_sa_derive_keys(&keys, crypto, &scene->name, &scene->box_key, &scene->box_key, NULL));
	CU_ASSERT_FATAL(!hk_sa_from_keys(&sa, &scene->name, &keys, NULL));
	length = forge(scene, sa, 2, packet);
	refused(scene->host, packet, length, HK_REFUSAL_BAD_ICV);
}

/* Plain AES-GCM under Ek. */
static void attack_gcm_under_ek(struct scene *scene, const struct kind *kind)
{
	__u8 packet[PACKET_MAX];

	memcpy(packet, scene->packet, scene->length);
	gcm_tag(scene, kind, packet, packet + scene->tag);
	refused(scene->host, packet, scene->length, HK_REFUSAL_BAD_ICV);
}

/*
 * Were the hash key taken from Ek, the old tag's mask could be kept and the hash
 * moved: T' = T ^ GHASH(C) ^ GHASH(C'). Were the mask taken from Ek, likewise.
 */
static void attack_hash_transplant(struct scene *scene, const struct kind *kind)
{
	__u8 packet[PACKET_MAX], old[16], new[16];
	unsigned i;

	memcpy(packet, scene->packet, scene->length);
	packet[scene->text + 40] ^= 1;
	gcm_tag(scene, kind, scene->packet, old);
	gcm_tag(scene, kind, packet, new);
	for (i = 0; i < 16; i++)
		packet[scene->tag + i] ^= old[i] ^ new[i];
	refused(scene->host, packet, scene->length, HK_REFUSAL_BAD_ICV);
}

static void attack_guessed_tags(struct scene *scene, const struct kind *kind)
{
	__u8 packet[PACKET_MAX];
	unsigned i;

	(void)kind;
	memcpy(packet, scene->packet, scene->length);
	packet[scene->text] ^= 1;
	memset(packet + scene->tag, 0, 16);
	refused(scene->host, packet, scene->length, HK_REFUSAL_BAD_ICV);
	memset(packet + scene->tag, 0xff, 16);
	refused(scene->host, packet, scene->length, HK_REFUSAL_BAD_ICV);
	for (i = 0; i < 1000; i++) {
		random_fill(&scene->seed, packet + scene->tag, 16);
		refused(scene->host, packet, scene->length, HK_REFUSAL_BAD_ICV);
	}
}

/* Cuts the packet, so that other bytes stand where the ICV is read. Lengths are made to fit. */
static void attack_truncation(struct scene *scene, const struct kind *kind)
{
	struct hk_address from = address("192.0.2.1"), to = address("192.0.2.9");
	bool psp = kind->envelope == HK_ENVELOPE_PSP;
	__u32 size, full = scene->length - scene->envelope;
	__u8 packet[PACKET_MAX];
	int length;

	for (size = 0; size < full; size++) {
		length = hk_outer_build(&from, &to, psp ? IPPROTO_UDP : IPPROTO_ESP, 40000, 1000,
			scene->packet + scene->envelope, size, packet, sizeof(packet));
		CU_ASSERT_NOT_EQUAL(deliver(scene->host, packet, (__u32)length), HK_REFUSAL_NONE);
	}
	if (!psp)
		return;
	memcpy(packet + 100, scene->packet + scene->envelope,
		16); /* header and 16 zero bytes: empty ciphertext */
	memset(packet + 116, 0, 16);
	length = hk_outer_build(
		&from, &to, IPPROTO_UDP, 40000, 1000, packet + 100, 32, scene->packet + 1000, 1000);
	refused(scene->host, scene->packet + 1000, (__u32)length, HK_REFUSAL_BAD_ICV);
}

/* A perfect packet of a single-key version or suite, under a key that the box can derive. */
static void attack_downgrade(struct scene *scene, const struct kind *kind)
{
	static const __u8 versions[] = {HK_PSP_GCM_128, HK_PSP_GCM_256};
	bool psp = kind->envelope == HK_ENVELOPE_PSP;
	struct hk_sa_name name = scene->name;
	struct hk_sa *sa = NULL;
	__u8 packet[PACKET_MAX];
	unsigned i;
	__u32 length;

	for (i = 0; i < (psp ? 2 : 1); i++) {
		name.variant = psp ? versions[i] : HK_SUITE_GCM;
		CU_ASSERT_FATAL(!hk_sa_derive(&sa, crypto, &name, &scene->box_key, NULL, NULL));
		length = forge(scene, sa, 5, packet);
		refused(scene->host, packet, length, psp ? HK_REFUSAL_DOWNGRADE : HK_REFUSAL_BAD_ICV);
	}
	for (i = 2; psp && i <= 3; i++) { /* GMAC versions, not encrypted at all */
		memcpy(packet, scene->packet, scene->length);
		packet[scene->envelope + 3] = (__u8)(i << 2 | 1);
		refused(scene->host, packet, scene->length, HK_REFUSAL_PSP_VERSION);
	}
}

/* The same bytes under another SPI of the same keys, and in a slot without keys. */
static void attack_spi(struct scene *scene, const struct kind *kind)
{
	__u8 packet[PACKET_MAX];

	memcpy(packet, scene->packet, scene->length);
	packet[scene->envelope + (kind->envelope == HK_ENVELOPE_PSP ? 7 : 3)] ^= 1;
	refused(scene->host, packet, scene->length, HK_REFUSAL_BAD_ICV);
	memcpy(packet, scene->packet, scene->length);
	packet[scene->envelope + (kind->envelope == HK_ENVELOPE_PSP ? 4 : 0)] ^=
		kind->envelope == HK_ENVELOPE_PSP ? 0x80 : 0x20;
	refused(scene->host, packet, scene->length, HK_REFUSAL_NO_KEY);
}

/* A genuine packet, sent on to somebody else. */
static void attack_other_receiver(struct scene *scene, const struct kind *kind)
{
	__u8 packet[PACKET_MAX];

	(void)kind;
	memcpy(packet, scene->packet, scene->length);
	refused(scene->other, packet, scene->length, HK_REFUSAL_NOT_OURS);
	packet[19] = 10; /* the outer destination is in no ICV */
	refused(scene->other, packet, scene->length, HK_REFUSAL_BAD_ICV);
}

/* Genuine packets again, reordered, and under another outer source. */
static void attack_replay(struct scene *scene, const struct kind *kind)
{
	struct scene later = *scene;
	struct hk_host *host = host_of(scene->keys, kind, "192.0.2.9");
	__u8 packet[PACKET_MAX];
	__u32 length;

	length = honest(&later, 5000, packet);
	CU_ASSERT_EQUAL(deliver(host, packet, length), HK_REFUSAL_NONE);
	refused(host, packet, length, HK_REFUSAL_REPLAY);
	length = honest(&later, 5000 - 1023, packet); /* the window's last place */
	CU_ASSERT_EQUAL(deliver(host, packet, length), HK_REFUSAL_NONE);
	refused(host, packet, length, HK_REFUSAL_REPLAY);
	length = honest(&later, 5000 - 1024, packet); /* one too old */
	refused(host, packet, length, HK_REFUSAL_REPLAY);
	length = honest(&later, 5001, packet);
	packet[15] = 77; /* another sender's address; IPv4's checksum is not ours to check */
	refused(host, packet, length, HK_REFUSAL_OTHER_SENDER);
	hk_host_free(host);
}

/* The box's own key file, used as a host's. */
static void attack_box_file(struct scene *scene, const struct kind *kind)
{
	char text[256], enc[65];
	struct hk_host_keys *keys = NULL;
	struct hk_error error = {{0}};
	__u8 own[32], packet[PACKET_MAX];
	__u32 length;

	(void)kind;
	hk_hex_format(scene->master.enc, 32, enc);
	snprintf(text, sizeof(text), "receiver=192.0.2.9 slot=0 generation=1 side=enc key=%s\n", enc);
	CU_ASSERT_EQUAL(hk_host_keys_parse(&keys, "box.keys", text, NULL, &error), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "side=auth"));
	CU_ASSERT_PTR_NULL(strstr(error.text, enc));
	random_fill(&scene->seed, own, 32);
	length = forge(scene, forged_sa(scene, own, own), 2, packet);
	refused(scene->host, packet, length, HK_REFUSAL_BAD_ICV);
}

#define ATTACK(name)                      \
	static void name(void)            \
	{                                 \
		each_kind(attack_##name); \
	}

ATTACK(bit_flips)
ATTACK(header)
ATTACK(reencrypt_old_tag)
ATTACK(tag_under_enc_keys)
ATTACK(auth_label_on_enc_master)
ATTACK(gcm_under_ek)
ATTACK(hash_transplant)
ATTACK(guessed_tags)
ATTACK(truncation)
ATTACK(downgrade)
ATTACK(spi)
ATTACK(other_receiver)
ATTACK(replay)
ATTACK(box_file)

/* Against the attacks' own tools: the transplant does forge where one key does both jobs. */
static void the_forger_can_forge_single(void)
{
	static const struct kind kind = {"PSP 1", HK_ENVELOPE_PSP, HK_PSP_GCM_256};
	struct hk_sa_name name = {HK_ENVELOPE_PSP, HK_PSP_GCM_256, 1, 0x1234, address("192.0.2.9")};
	static struct scene scene;
	struct hk_sealed sealed;
	struct hk_opened opened;
	__u8 out[HK_OPEN_ROOM(PACKET_MAX)];
	struct hk_sa *sa;
	unsigned i;
	__u8 old[16], new[16];

	memset(&scene, 0, sizeof(scene));
	scene.seed = 9;
	scene.name = name;
	master_random(&scene.master, &scene.seed);
	CU_ASSERT_FATAL(!hk_sa_derive_keys(&scene.stolen, crypto, &name, &scene.master.enc_key, NULL, NULL));
	scene.length = honest(&scene, 1, scene.packet);
	scene.envelope = 28, scene.text = 44, scene.tag = scene.length - 16;
	gcm_tag(&scene, &kind, scene.packet, old);
	CU_ASSERT_EQUAL(memcmp(old, scene.packet + scene.tag, 16), 0);
	scene.packet[scene.text + 40] ^= 1;
	gcm_tag(&scene, &kind, scene.packet, new);
	for (i = 0; i < 16; i++)
		scene.packet[scene.tag + i] ^= old[i] ^ new[i];
	CU_ASSERT_EQUAL_FATAL(hk_sealed_parse(scene.packet, scene.length, &sealed), HK_REFUSAL_NONE);
	sa = sa_of(crypto, &name, &scene.master);
	CU_ASSERT_EQUAL(hk_open_packet(sa, &sealed, out, &opened), HK_REFUSAL_NONE);
	hk_sa_free(sa);
}

int main(void)
{
	static const struct test tests[] = {
		{"flipped bits", bit_flips},
		{"changed headers", header},
		{"new ciphertext under Ek, old tag", reencrypt_old_tag},
		{"tags under the encryption keys", tag_under_enc_keys},
		{"authentication label on the encryption master", auth_label_on_enc_master},
		{"AES-GCM under Ek", gcm_under_ek},
		{"the hash moved under the old mask", hash_transplant},
		{"guessed tags", guessed_tags},
		{"truncation", truncation},
		{"downgrade to a single-key version or suite", downgrade},
		{"another SPI or slot", spi},
		{"replay to another receiver", other_receiver},
		{"replay", replay},
		{"the box's key file on a host", box_file},
		{"the forger's tools do forge a single-key packet", the_forger_can_forge_single},
		{0},
	};

	return run_tests_with(&crypto, "libcrypto", "forger", tests);
}
