// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TLS as the key server and its clients use it, and who a certificate speaks
 * for. Strict on purpose: one protocol version, one CA, both key usages said
 * outright, so that a host's certificate can play no server and no box.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <halfkey/crypto.h>

#include "user/base/files.h"
#include "user/push/push.h"

#define KEY_FILE_MAX (64 << 10)

static const char *const roles[] = {
	[HK_PUSH_SERVER] = "server",
	[HK_PUSH_HOST] = "host",
	[HK_PUSH_BOX] = "box",
	[HK_PUSH_READER] = "reader",
};

const char *hk_push_role_name(unsigned role)
{
	return role >= HK_PUSH_SERVER && role <= HK_PUSH_READER ? roles[role] : "nobody";
}

/* OpenSSL's own reason: it names no secret. */
static const char *why(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return text ? text : "not in PEM form";
}

static int no_passphrase(char *buffer, int size, int writing, void *context)
{
	(void)buffer, (void)size, (void)writing, (void)context;
	return 0; /* a daemon has nobody to ask */
}

static int use_private_key(SSL_CTX *tls, const char *path, struct hk_error *error)
{
	struct hk_files files = {0};
	EVP_PKEY *key = NULL;
	BIO *memory = NULL;
	size_t size = 0;
	char *text = NULL;
	int status = hk_files_open(&files, HK_FILE_KEYS, ".", path, error);

	if (!status) {
		text = hk_files_read(&files, path, KEY_FILE_MAX, &size, error);
		status = text ? 0 : -EINVAL;
	}
	hk_files_close(&files);
	if (!status)
		memory = BIO_new_mem_buf(text, (int)size);
	if (memory)
		key = PEM_read_bio_PrivateKey(memory, NULL, no_passphrase, NULL);
	if (!status && (!key || SSL_CTX_use_PrivateKey(tls, key) != 1 || SSL_CTX_check_private_key(tls) != 1))
		status = hk_error_set(
			error, EINVAL, "%s: not the private key of that certificate: %s", path, why());
	EVP_PKEY_free(key);
	BIO_free(memory);
	if (text)
		hk_wipe(text, size);
	free(text);
	return status;
}

static int use_crl(SSL_CTX *tls, const char *path, struct hk_error *error)
{
	X509_STORE *store = SSL_CTX_get_cert_store(tls);
	X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());

	if (!path)
		return 0;
	if (!lookup || X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) < 1)
		return hk_error_set(error, EINVAL, "%s: not a revocation list: %s", path, why());
	X509_VERIFY_PARAM_set_flags(
		SSL_CTX_get0_param(tls), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return 0;
}

/* OpenSSL has no word for a file that is not there. */
static int readable(const char *path, struct hk_error *error)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), code = fd < 0 ? errno : 0;

	if (fd >= 0 && (fstat(fd, &status) || !S_ISREG(status.st_mode)))
		code = EISDIR;
	if (fd >= 0)
		close(fd);
	if (code == EISDIR)
		return hk_error_set(error, EINVAL, "%s: is not a regular file", path);
	return code ? hk_error_set(error, code, "%s: cannot be read: %s", path, strerror(code)) : 0;
}

static int use_files(SSL_CTX *tls, const struct hk_push_files *files, struct hk_error *error)
{
	if (!files->ca || !files->cert || !files->key)
		return hk_error_set(error, EINVAL, "no %s: name the file in PEM form",
			!files->ca     ? "ca"
			: !files->cert ? "cert"
				       : "key");
	if (readable(files->ca, error) || readable(files->cert, error) ||
		(files->crl && readable(files->crl, error)))
		return -EINVAL;
	if (SSL_CTX_load_verify_file(tls, files->ca) != 1)
		return hk_error_set(error, EINVAL, "%s: not a CA certificate: %s", files->ca, why());
	if (SSL_CTX_use_certificate_chain_file(tls, files->cert) != 1)
		return hk_error_set(error, EINVAL, "%s: not a certificate: %s", files->cert, why());
	if (use_crl(tls, files->crl, error))
		return -EINVAL;
	return use_private_key(tls, files->key, error);
}

/* --- who is it? -------------------------------------------------------------------------------- */

static bool good_name(const char *name, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
			return false;
	return size > 0 && size < HK_PUSH_NAME;
}

/* 1: a name of ours; 0: another URI; -EACCES: begins like ours and is wrong. */
static int parse_uri(const char *uri, size_t size, struct hk_push_identity *out)
{
	unsigned role;

	if (size < 8 || memcmp(uri, "halfkey:", 8) != 0)
		return 0;
	uri += 8;
	size -= 8;
	for (role = HK_PUSH_SERVER; role <= HK_PUSH_READER; role++) {
		size_t length = strlen(roles[role]);

		if (size <= length || memcmp(uri, roles[role], length) != 0 || uri[length] != ':')
			continue;
		if (!good_name(uri + length + 1, size - length - 1))
			return -EACCES;
		out->role = role;
		memcpy(out->name, uri + length + 1, size - length - 1);
		out->name[size - length - 1] = '\0';
		return 1;
	}
	return -EACCES;
}

static int read_names(X509 *certificate, struct hk_push_identity *out)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	int i, found = 0, one = 0;

	for (i = 0; names && i < sk_GENERAL_NAME_num(names) && one >= 0; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_URI)
			continue;
		one = parse_uri((const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
			(size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier), out);
		found += one > 0;
	}
	GENERAL_NAMES_free(names);
	return one < 0 || found != 1 ? -EACCES : 0;
}

/* Said outright: without an extension OpenSSL would take any purpose. */
static bool made_for(X509 *certificate, unsigned role)
{
	unsigned usage = role == HK_PUSH_SERVER ? XKU_SSL_SERVER : XKU_SSL_CLIENT;
	unsigned other = role == HK_PUSH_SERVER ? XKU_SSL_CLIENT : XKU_SSL_SERVER;
	unsigned flags = X509_get_extension_flags(certificate);

	return (flags & EXFLAG_XKUSAGE) && (flags & EXFLAG_KUSAGE) &&
	       !(flags & (EXFLAG_CA | EXFLAG_INVALID)) &&
	       (X509_get_extended_key_usage(certificate) & usage) &&
	       !(X509_get_extended_key_usage(certificate) & (other | XKU_ANYEKU)) &&
	       (X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE) &&
	       !(X509_get_key_usage(certificate) & KU_KEY_CERT_SIGN);
}

/* Clients refuse any other, and their refusal names no file. */
static int is_servers(SSL_CTX *tls, const char *path, struct hk_error *error)
{
	X509 *certificate = SSL_CTX_get0_certificate(tls);
	struct hk_push_identity own = {0};

	if (certificate && !read_names(certificate, &own) && own.role == HK_PUSH_SERVER &&
		made_for(certificate, HK_PUSH_SERVER))
		return 0;
	return hk_error_set(error, EINVAL,
		"%s: is no key server's certificate: it needs one URI halfkey:server:NAME and "
		""
		"extendedKeyUsage serverAuth alone",
		path);
}

SSL_CTX *hk_push_tls(const struct hk_push_files *files, bool server, struct hk_error *error)
{
	SSL_CTX *tls = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	(void)signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error, not the end of the process */
	if (!tls || SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1 ||
		SSL_CTX_set_max_proto_version(tls, TLS1_3_VERSION) != 1) {
		hk_error_set(error, ENOMEM, "TLS 1.3 is not to be had: %s", why());
		SSL_CTX_free(tls);
		return NULL;
	}
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_verify_depth(tls, 3);
	SSL_CTX_set_purpose(tls, server ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER);
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(tls), X509_V_FLAG_X509_STRICT);
	/* No resumption and no early data: every connection shows its certificate, and nothing can be
	 * replayed. */
	SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(tls, 0);
	SSL_CTX_set_max_early_data(tls, 0);
	SSL_CTX_set_options(tls, SSL_OP_NO_TICKET | SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (use_files(tls, files, error) || (server && is_servers(tls, files->cert, error))) {
		SSL_CTX_free(tls);
		return NULL;
	}
	return tls;
}

int hk_push_identify(SSL *ssl, struct hk_push_identity *out, struct hk_error *error)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	struct tm end;

	memset(out, 0, sizeof(*out));
	if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK || SSL_version(ssl) != TLS1_3_VERSION)
		return hk_error_set(error, EACCES, "the peer has no certificate that verifies");
	if (read_names(certificate, out))
		return hk_error_set(error, EACCES,
			"its certificate must have exactly one URI halfkey:ROLE:NAME in subjectAltName, with "
			"the role server, host, box or reader");
	if (!made_for(certificate, out->role))
		return hk_error_set(error, EACCES,
			"its certificate must have keyUsage digitalSignature and extendedKeyUsage %s alone",
			out->role == HK_PUSH_SERVER ? "serverAuth" : "clientAuth");
	if (!ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end))
		return hk_error_set(error, EACCES, "its certificate has no readable end");
	out->expires = timegm(&end);
	return 0;
}

int hk_push_verify_again(SSL_CTX *tls, SSL *ssl, struct hk_error *error)
{
	X509_STORE_CTX *check = X509_STORE_CTX_new();
	int status = 0;

	if (!check || X509_STORE_CTX_init(check, SSL_CTX_get_cert_store(tls), SSL_get0_peer_certificate(ssl),
			      SSL_get_peer_cert_chain(ssl)) != 1)
		status = hk_error_set(error, ENOMEM, "no memory to verify a certificate");
	else if (X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(check), SSL_CTX_get0_param(tls)) != 1 ||
		 X509_verify_cert(check) != 1)
		status = hk_error_set(error, EACCES, "closed: %s",
			X509_verify_cert_error_string(X509_STORE_CTX_get_error(check)));
	X509_STORE_CTX_free(check);
	ERR_clear_error();
	return status;
}

/* --- messages ----------------------------------------------------------------------------------- */

static void free_wiped(void *memory)
{
	if (memory)
		hk_wipe(memory, malloc_usable_size(memory));
	free(memory);
}

void hk_push_wipe_json(void)
{
	json_set_alloc_funcs(malloc, free_wiped);
}

json_t *hk_push_parse(const char *text, size_t size)
{
	json_t *message = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);

	if (message && !json_is_object(message)) {
		json_decref(message);
		return NULL;
	}
	return message;
}
