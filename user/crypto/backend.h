/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a backend gives to crypto.c. Inside user/crypto/ only: everyone else
 * uses include/halfkey/crypto.h.
 *
 * The calls never see an empty batch nor more than HK_CRYPTO_BATCH_MAX jobs
 * (cmac: any number). CTR and GCM jobs may be empty.
 */
#ifndef HK_CRYPTO_BACKEND_H
#define HK_CRYPTO_BACKEND_H

#include <halfkey/crypto.h>

struct hk_crypto_backend {
	const char *name;
	struct hk_crypto *(*create)(void);	   /* NULL and errno: not on this machine */
	void (*destroy)(struct hk_crypto *crypto); /* wipes all it held */
	void (*forget)(struct hk_crypto *crypto);  /* wipes what is left of keys; NULL: nothing is */
	void (*cmac)(struct hk_crypto *crypto, const struct hk_kdf_key *key, __u32 count, __u32 blocks,
		const __u8 *messages, __u8 *out);
	void (*hmac)(struct hk_crypto *crypto, struct hk_hmac_job *jobs, __u32 count);
	void (*ctr)(struct hk_crypto *crypto, struct hk_ctr_job *jobs, __u32 count);
	void (*cbc)(struct hk_crypto *crypto, struct hk_cbc_job *jobs, __u32 count);
	void (*gcm_open)(struct hk_crypto *crypto, struct hk_gcm_job *jobs, __u32 count);
};

/* The first member of every backend's own state. */
struct hk_crypto {
	const struct hk_crypto_backend *backend;
};

extern const struct hk_crypto_backend hk_crypto_ipsecmb;
extern const struct hk_crypto_backend hk_crypto_libcrypto;

/*
 * A library refused what it must accept: going on would hand out garbage as
 * plaintext. Ends the process; the starter replaces it.
 */
_Noreturn void hk_crypto_broken(const char *what);

/* Whether ipsec-mb's feature flags name a CPU with AES instructions: without them its AES leaks by timing. */
bool hk_crypto_ipsecmb_suits(__u64 features);

/* For tests: as on a CPU that has no better lanes than these. */
struct hk_lanes;
void hk_crypto_ipsecmb_use(struct hk_crypto *crypto, const struct hk_lanes *lanes);

#endif
