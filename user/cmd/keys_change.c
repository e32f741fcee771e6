// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `halfkey keys add|rotate|retire|import`: see keys_change.h. Keys are read from
 * a file or standard input, never from the command line, where others see them.
 */
#include "user/cmd/keys_change.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <halfkey/crypto.h>

#include "user/base/files.h"
#include "user/base/text.h"
#include "user/control/keypush.h"
#include "user/keys/esp_sa.h"
#include "user/keys/keylog.h"

#define TEXT_MAX    (1u << 30)
#define INPUT_MAX   (16u << 20)
#define WORDS_MAX   512
#define GRACE_MAX_S (366 * 86400)

/*
 * The daemon knows no file's name: to it lines come from "(control)". `name`:
 * what the user knows them by; "": there is but the one line; NULL: nothing.
 */
static int refused(const struct hk_error *error, const char *name)
{
	static const char control[] = "(control)";
	struct hk_error named = {""};
	const char *sentence = strstr(error->text, ": ");

	if (!name || strncmp(error->text, control, sizeof(control) - 1) != 0)
		return hk_fail("keys", error);
	if (!*name && sentence)
		hk_error_set(&named, EINVAL, "%s", sentence + 2);
	else
		hk_error_set(&named, EINVAL, "%.200s%s", name, error->text + sizeof(control) - 1);
	return hk_fail("keys", &named);
}

static void print_json(const struct hk_key_pushed *done)
{
	json_t *answer = json_pack("{s:i, s:i, s:i, s:i, s:i, s:s*}", "added", (int)done->added, "known",
		(int)done->known, "retired", (int)done->retired, "graced", (int)done->graced,
		"still_in_files", (int)done->filed, "file", done->filed ? done->file : NULL);

	json_dumpf(answer, stdout, 0);
	putchar('\n');
	json_decref(answer);
}

static void print_done(const struct hk_key_push *push, const struct hk_key_pushed *done)
{
	printf("domain %s: %u added, %u known before, %u retired, %u older ones with an end\n", push->domain,
		done->added, done->known, done->retired, done->graced);
	if (done->filed)
		printf("%u of them still in %s%s: no reload and no crash brings them back, but a new start "
		       "of "
		       "halfkeyd reads the file as it is; take their lines out of it\n",
			done->filed, done->file, done->filed > 1 ? " or other files" : "");
}

static int push_text(const struct hk_options *options, struct hk_key_push *push, const char *name)
{
	struct hk_error error = {""};
	struct hk_key_pushed done;
	char *path = hk_socket_path(options, &error);
	int code = -EINVAL;

	push->socket = path;
	if (path)
		code = hk_control_push_keys(push, &done, &error);
	free(path);
	if (code)
		return refused(&error, name);
	if (options->json)
		print_json(&done);
	else
		print_done(push, &done);
	return HK_EXIT_DONE;
}

static char *read_input(size_t *size, struct hk_error *error)
{
	char *text = malloc(INPUT_MAX + 1);
	ssize_t got = 0;

	*size = 0;
	while (text && *size < INPUT_MAX &&
		(got = read(STDIN_FILENO, text + *size, INPUT_MAX - *size)) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		*size += got > 0 ? (size_t)got : 0;
	}
	if (text && *size < INPUT_MAX && got == 0) { /* half of the keys is none */
		text[*size] = '\0';
		return text;
	}
	hk_error_set(error, EFBIG, "standard input: cannot be read, or is longer than 16 MiB");
	if (text)
		hk_wipe(text, *size);
	free(text);
	return NULL;
}

/* A file under the rules of key files, or "-". The caller wipes and frees. */
static char *read_keys(const char *path, size_t *size, struct hk_error *error)
{
	struct hk_files files = {0};
	char *text = NULL;

	if (strcmp(path, "-") == 0)
		return read_input(size, error);
	if (hk_files_open(&files, HK_FILE_KEYS, NULL, path, error) == 0)
		text = hk_files_read(&files, path, TEXT_MAX, size, error);
	hk_files_close(&files);
	return text;
}

static int push_file(const struct hk_options *options, struct hk_key_push *push, const char *path)
{
	struct hk_error error = {""};
	char *text = read_keys(path, &push->size, &error);
	const char *name = strcmp(path, "-") ? path : "standard input";
	int status;

	if (!text)
		return hk_fail("keys", &error);
	push->text = text;
	if (text[strspn(text, " \t\r\n")]) {
		status = push_text(options, push, name);
	} else { /* who made it has failed, most likely */
		hk_error_set(&error, EINVAL, "%s: is empty: it has no key line", name);
		status = hk_fail("keys", &error);
	}
	hk_wipe(text, push->size);
	free(text);
	return status;
}

int hk_keys_add(const struct hk_options *options, int argc, char **argv)
{
	struct hk_key_push push = {0};

	if (argc != 2)
		return hk_usage("keys", "add takes DOMAIN and FILE, or - for standard input");
	push.domain = argv[0];
	return push_file(options, &push, argv[1]);
}

int hk_keys_rotate(const struct hk_options *options, int argc, char **argv)
{
	struct hk_key_push push = {.rotate = true};
	__u64 grace;

	if (argc != 3)
		return hk_usage("keys", "rotate takes DOMAIN, the grace in seconds and FILE, or -");
	if (hk_number_parse(argv[1], GRACE_MAX_S, &grace))
		return hk_usage(
			"keys", "\"%.20s\" is not a number of seconds from 0 to %d", argv[1], GRACE_MAX_S);
	push.domain = argv[0];
	push.grace_s = (__u32)grace;
	return push_file(options, &push, argv[2]);
}

int hk_keys_retire(const struct hk_options *options, int argc, char **argv)
{
	char line[WORDS_MAX] = "retire";
	struct hk_key_push push = {.text = line};
	size_t used = strlen(line);
	int i;

	if (argc < 2)
		return hk_usage(
			"keys", "retire takes DOMAIN and what names the key: slot=0 generation=7 ...");
	push.domain = argv[0];
	for (i = 1; i < argc; i++) {
		if (strncmp(argv[i], "key=", 4) == 0)
			return hk_usage(
				"keys", "a key has no place on a command line; others can see it there");
		if (strpbrk(argv[i], " \t\n#") || used + strlen(argv[i]) + 3 > sizeof(line))
			return hk_usage("keys", "\"%.40s\" is not one word of a key line", argv[i]);
		used += (size_t)snprintf(line + used, sizeof(line) - used, " %s", argv[i]);
	}
	line[used++] = '\n';
	push.size = used;
	return push_text(options, &push, "");
}

static int import_text(const struct hk_options *options, struct hk_key_push *push, const char *path,
	const char *text, enum hk_suite gcm)
{
	struct hk_error error = {""};
	struct hk_esp_sa table;
	int status;

	if (hk_keylog_is(text)) {
		push->text = text;
		push->size = strlen(text);
		return push_text(options, push, path);
	}
	if (hk_esp_sa_read(&table, path, text, gcm, &error))
		return hk_fail("keys", &error);
	if (table.dropped)
		fprintf(stderr,
			"halfkey keys: %s: %u authentication key%s dropped: a box has no use for one\n", path,
			table.dropped, table.dropped == 1 ? " was" : "s were");
	push->text = table.lines;
	push->size = table.size;
	status = push_text(options, push, NULL);
	hk_esp_sa_free(&table);
	return status;
}

int hk_keys_import(const struct hk_options *options, int argc, char **argv)
{
	enum hk_suite gcm = argc == 3 && !strcmp(argv[2], "gcm-split") ? HK_SUITE_GCM_SPLIT : HK_SUITE_GCM;
	struct hk_key_push push = {0};
	struct hk_error error = {""};
	size_t size = 0;
	char *text;
	int status;

	if (argc != 2 && !(argc == 3 && (gcm == HK_SUITE_GCM_SPLIT || !strcmp(argv[2], "gcm"))))
		return hk_usage("keys",
			"import takes DOMAIN, an esp_sa or key log FILE or -, and what AES-GCM is in an "
			"esp_sa: gcm (the default) or gcm-split");
	push.domain = argv[0];
	text = read_keys(argv[1], &size, &error);
	if (!text)
		return hk_fail("keys", &error);
	status = import_text(options, &push, argv[1], text, gcm);
	hk_wipe(text, size);
	free(text);
	return status;
}
