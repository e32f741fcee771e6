// SPDX-License-Identifier: GPL-2.0-or-later
/* A client's connection to a key server: blocking, but never longer than its deadlines. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <halfkey/crypto.h>

#include "user/base/text.h"
#include "user/push/push.h"

#define HOST_TEXT  256
#define NAMES_TEXT 160

struct hk_push_link {
	int fd;
	SSL *ssl;
	char host[HOST_TEXT], port[8];
	char names[NAMES_TEXT]; /* those of a certificate that is not `host`'s */
};

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int split_server(struct hk_push_link *link, const char *server, struct hk_error *error)
{
	const char *end = server[0] == '[' ? strchr(server, ']') : NULL;
	const char *host = end ? server + 1 : server;
	const char *colon = end ? end + 1 : strrchr(server, ':');
	__u64 port;
	size_t size = end ? (size_t)(end - host) : colon ? (size_t)(colon - host) : strlen(host);

	if (!size || size >= sizeof(link->host) || (end && *colon && *colon != ':') ||
		(!end && colon && memchr(host, ':', size)))
		return hk_error_set(
			error, EINVAL, "server '%s': must be NAME, NAME:PORT or [ADDRESS]:PORT", server);
	if (colon && *colon && (hk_number_parse(colon + 1, 65535, &port) || !port))
		return hk_error_set(
			error, EINVAL, "server '%s': the port must be a number from 1 to 65535", server);
	memcpy(link->host, host, size);
	snprintf(link->port, sizeof(link->port), "%.7s", colon && *colon ? colon + 1 : HK_PUSH_PORT);
	return 0;
}

static int wait_fd(int fd, short events, long long deadline)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};
	long long left = deadline - now_ms();
	int status = poll(&poll_fd, 1, left > 0 ? (int)left : 0);

	if (status < 0)
		return errno == EINTR ? 0 : -errno;
	return status ? 0 : -ETIME;
}

static int connect_one(const struct addrinfo *address, long long deadline)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), code = 0, one = 1;
	socklen_t size = sizeof(code);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, address->ai_addr, address->ai_addrlen) && errno != EINPROGRESS)
		code = errno;
	else if (wait_fd(fd, POLLOUT, deadline))
		code = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size))
		code = errno;
	if (!code)
		return fd;
	close(fd);
	return -code;
}

static int connect_tcp(struct hk_push_link *link, struct hk_error *error)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL, *address;
	long long deadline = now_ms() + HK_PUSH_PATIENCE * 1000;
	int status = getaddrinfo(link->host, link->port, &hints, &list);

	if (status)
		return hk_error_set(error, EHOSTUNREACH, "server %s: %s", link->host, gai_strerror(status));
	link->fd = -ECONNREFUSED;
	for (address = list; address && link->fd < 0; address = address->ai_next)
		link->fd = connect_one(address, deadline);
	freeaddrinfo(list);
	return link->fd < 0 ? hk_error_set(error, -link->fd, "server %s, port %s: %s", link->host, link->port,
				      strerror(-link->fd))
			    : 0;
}

/* "DNS:keys.example, IP:192.0.2.9": whom a certificate is for. */
static void list_names(X509 *certificate, char *out, size_t room)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	char text[INET6_ADDRSTRLEN];
	size_t used = 0;
	int i, size;

	snprintf(out, room, "none");
	for (i = 0; names && i < sk_GENERAL_NAME_num(names) && used < room; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		const unsigned char *data = ASN1_STRING_get0_data(name->d.ia5);

		size = ASN1_STRING_length(name->d.ia5);
		if (name->type == GEN_DNS)
			used += (size_t)snprintf(
				out + used, room - used, "%sDNS:%.*s", used ? ", " : "", size, data);
		else if (name->type == GEN_IPADD && (size == 4 || size == 16))
			used += (size_t)snprintf(out + used, room - used, "%sIP:%s", used ? ", " : "",
				inet_ntop(size == 4 ? AF_INET : AF_INET6, data, text, sizeof(text)));
	}
	GENERAL_NAMES_free(names);
}

/* A refused certificate is gone when the handshake has failed: its names are noted here. */
static int note_names(int good, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct hk_push_link *link = SSL_get_app_data(ssl);
	int why = X509_STORE_CTX_get_error(store);

	if (!good && (why == X509_V_ERR_HOSTNAME_MISMATCH || why == X509_V_ERR_IP_ADDRESS_MISMATCH))
		list_names(X509_STORE_CTX_get0_cert(store), link->names, sizeof(link->names));
	return good;
}

/* What OpenSSL's call came to: 0 go on after waiting, or negative errno. */
static int after(struct hk_push_link *link, int result, long long deadline)
{
	switch (SSL_get_error(link->ssl, result)) {
	case SSL_ERROR_WANT_READ: return wait_fd(link->fd, POLLIN, deadline);
	case SSL_ERROR_WANT_WRITE: return wait_fd(link->fd, POLLOUT, deadline);
	default: return -ECONNRESET;
	}
}

static int lost(struct hk_push_link *link, int status, struct hk_error *error)
{
	const char *text = ERR_reason_error_string(ERR_peek_error());
	long verify = SSL_get_verify_result(link->ssl);

	ERR_clear_error();
	if (link->names[0])
		return hk_error_set(error, -status,
			"server %s, port %s: its certificate is not for that name; it has %s", link->host,
			link->port, link->names);
	return hk_error_set(error, -status, "server %s, port %s: %s", link->host, link->port,
		status == -ETIME      ? "no answer in time"
		: verify != X509_V_OK ? X509_verify_cert_error_string(verify)
		: text		      ? text
				      : "the connection was closed (was our certificate refused?)");
}

static int handshake(struct hk_push_link *link, SSL_CTX *tls, struct hk_error *error)
{
	X509_VERIFY_PARAM *param;
	struct hk_push_identity identity;
	long long deadline = now_ms() + HK_PUSH_PATIENCE * 1000;
	int result, status = 0;
	__u8 address[16];
	bool numeric =
		inet_pton(AF_INET, link->host, address) == 1 || inet_pton(AF_INET6, link->host, address) == 1;

	link->ssl = SSL_new(tls);
	if (!link->ssl || SSL_set_fd(link->ssl, link->fd) != 1)
		return hk_error_set(error, ENOMEM, "no memory for a connection");
	SSL_set_app_data(link->ssl, link);
	SSL_set_verify(link->ssl, SSL_CTX_get_verify_mode(tls), note_names);
	param = SSL_get0_param(link->ssl);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (numeric ? X509_VERIFY_PARAM_set1_ip_asc(param, link->host) != 1
		    : X509_VERIFY_PARAM_set1_host(param, link->host, 0) != 1 ||
				SSL_set_tlsext_host_name(link->ssl, link->host) != 1)
		return hk_error_set(
			error, EINVAL, "server '%s': not a name that can be verified", link->host);
	while ((result = SSL_connect(link->ssl)) != 1) {
		status = after(link, result, deadline);
		if (status)
			return lost(link, status, error);
	}
	if (hk_push_identify(link->ssl, &identity, error))
		return -EACCES;
	if (identity.role != HK_PUSH_SERVER)
		return hk_error_set(error, EACCES,
			"server %s: its certificate is that of a %s, not of a server", link->host,
			hk_push_role_name(identity.role));
	return 0;
}

/* All of it, or negative errno. */
static int write_all(struct hk_push_link *link, const void *data, size_t size)
{
	long long deadline = now_ms() + HK_PUSH_PATIENCE * 1000;
	size_t done = 0, some;
	int status = 0, result;

	while (done < size && !status) {
		ERR_clear_error();
		result = SSL_write_ex(link->ssl, (const char *)data + done, size - done, &some);
		if (result == 1)
			done += some;
		else
			status = after(link, result, deadline);
	}
	return status;
}

static int read_all(struct hk_push_link *link, void *data, size_t size, long long deadline)
{
	size_t done = 0, some;
	int status = 0, result;

	while (done < size && !status) {
		ERR_clear_error();
		result = SSL_read_ex(link->ssl, (char *)data + done, size - done, &some);
		if (result == 1) {
			done += some;
			continue;
		}
		status = after(link, result, deadline);
		if (status == -ETIME && done)
			status = -ECONNRESET; /* half a message is no message */
	}
	return status;
}

int hk_push_send(struct hk_push_link *link, json_t *message, struct hk_error *error)
{
	char *text = json_dumps(message, JSON_COMPACT);
	size_t size = text ? strlen(text) : 0;
	__u8 head[4] = {(__u8)(size >> 24), (__u8)(size >> 16), (__u8)(size >> 8), (__u8)size};
	int status = size && size <= HK_PUSH_REQUEST ? 0 : -EMSGSIZE;

	if (!status)
		status = write_all(link, head, sizeof(head));
	if (!status)
		status = write_all(link, text, size);
	free(text);
	json_decref(message);
	return status ? lost(link, status, error) : 0;
}

int hk_push_receive(struct hk_push_link *link, int timeout_ms, json_t **out, struct hk_error *error)
{
	size_t size;
	char *text;
	__u8 head[4];
	int status = read_all(link, head, sizeof(head), now_ms() + timeout_ms);

	if (status == -ETIME)
		return status;
	if (status)
		return lost(link, status, error);
	size = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	text = size && size <= HK_PUSH_ANSWER ? malloc(size) : NULL;
	if (!text)
		return hk_error_set(error, EPROTO, "server %s: a message of %zu bytes", link->host, size);
	status = read_all(link, text, size, now_ms() + HK_PUSH_PATIENCE * 1000);
	*out = status ? NULL : hk_push_parse(text, size);
	hk_wipe(text, size);
	free(text);
	if (status)
		return lost(link, -ECONNRESET, error);
	return *out ? 0 : hk_error_set(error, EPROTO, "server %s: not a message", link->host);
}

int hk_push_connect(
	struct hk_push_link **out, SSL_CTX *tls, const char *server, unsigned role, struct hk_error *error)
{
	struct hk_push_link *link = calloc(1, sizeof(*link));
	int status;

	if (!link)
		return hk_error_set(error, ENOMEM, "no memory for a connection");
	link->fd = -1;
	status = split_server(link, server, error);
	if (!status)
		status = connect_tcp(link, error);
	if (!status)
		status = handshake(link, tls, error);
	if (!status)
		status = hk_push_send(
			link, json_pack("{s:s,s:s}", "op", "hello", "role", hk_push_role_name(role)), error);
	if (status) {
		hk_push_close(link);
		return status;
	}
	*out = link;
	return 0;
}

void hk_push_close(struct hk_push_link *link)
{
	if (!link)
		return;
	if (link->ssl)
		(void)SSL_shutdown(link->ssl);
	SSL_free(link->ssl);
	if (link->fd >= 0)
		close(link->fd);
	free(link);
}
