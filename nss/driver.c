// SPDX-License-Identifier: Apache-2.0

// The driver calls the module as the C library would, under sanitizers, for the tests in hostile.
//
//	driver lookup NAME...      looks names up, one line for each
//	driver sizes NAME ADDRESS  offers buffers of every small size and alignment
//	driver parse               reads replies (length in 4 bytes, little endian; text) and tells
//	                           what each is
//	driver user UID...         tells whether these are user mcc

#include "libnss_mcc.c"

#include <inttypes.h>
#include <stdio.h>

static const char *const words[] = {"tryagain", "unavail", "notfound", "success", "return"};

static const char *word(enum nss_status s) {
	return words[s - NSS_STATUS_TRYAGAIN];
}

static void print_address(int family, const void *address) {
	char text[INET6_ADDRSTRLEN];
	printf(" %s", inet_ntop(family, address, text, sizeof text));
}

// lookup calls every function for a name or an address.
static void lookup(const char *name) {
	char buffer[1024];
	int error = 0, h_error = 0;
	struct hostent host;
	unsigned char address[sizeof(struct in6_addr)];
	for (int family = AF_INET;; family = AF_INET6) {
		if (inet_pton(family, name, address) == 1) {
			socklen_t n = family == AF_INET ? 4 : 16;
			enum nss_status s = _nss_mcc_gethostbyaddr_r(
				address, n, family, &host, buffer, sizeof buffer, &error, &h_error);
			printf("%s %s %s\n", name, word(s),
			       s == NSS_STATUS_SUCCESS ? host.h_name : "-");
			return;
		}
		if (family == AF_INET6)
			break;
	}
	struct gaih_addrtuple *list = NULL;
	enum nss_status s = _nss_mcc_gethostbyname4_r(name, &list, buffer, sizeof buffer, &error,
						      &h_error, NULL);
	printf("%s %s", name, word(s));
	if (s == NSS_STATUS_SUCCESS) {
		for (const struct gaih_addrtuple *t = list; t != NULL; t = t->next)
			print_address(t->family, t->addr);
		for (int family = AF_INET;; family = AF_INET6) {
			s = _nss_mcc_gethostbyname2_r(name, family, &host, buffer, sizeof buffer,
						      &error, &h_error);
			printf(" %s", word(s));
			if (s == NSS_STATUS_SUCCESS)
				print_address(host.h_addrtype, host.h_addr_list[0]);
			if (family == AF_INET6)
				break;
		}
	}
	printf("\n");
}

// check ends the program when a result is neither complete nor a wish for more room.
static bool check(enum nss_status s, int error, size_t size) {
	if (s == NSS_STATUS_SUCCESS)
		return true;
	if (s == NSS_STATUS_TRYAGAIN && error == ERANGE)
		return false;
	printf("%zu bytes: %s, errno %d\n", size, word(s), error);
	exit(1);
}

static void sizes(const char *name, const char *address) {
	struct in_addr a;
	if (inet_pton(AF_INET, address, &a) != 1)
		exit(2);
	int fits = 0;
	for (size_t size = 0; size < 420; size++) {
		for (size_t shift = 0; shift < 8; shift += 3) {
			char *block = malloc(size + shift), *buffer = block + shift;
			struct hostent host;
			struct gaih_addrtuple *list = NULL;
			int error = 0, h_error = 0;
			enum nss_status s;
			s = _nss_mcc_gethostbyname4_r(name, &list, buffer, size, &error, &h_error,
						      NULL);
			if (check(s, error, size))
				fits += list->next->family == AF_INET;
			s = _nss_mcc_gethostbyname2_r(name, AF_INET6, &host, buffer, size, &error,
						      &h_error);
			if (check(s, error, size))
				fits += strcmp(host.h_name, name) == 0;
			s = _nss_mcc_gethostbyaddr_r(&a, sizeof a, AF_INET, &host, buffer, size,
						     &error, &h_error);
			if (check(s, error, size))
				fits += memcmp(host.h_addr_list[0], &a, sizeof a) == 0;
			free(block);
		}
	}
	printf("%s\n", fits > 100 ? "all sizes" : "nothing fits");
}

// parse reads replies from blocks of exactly their size, so that reading past one is seen.
static void parse(void) {
	unsigned char n[4];
	while (fread(n, 1, sizeof n, stdin) == sizeof n) {
		size_t size = n[0] | (size_t)n[1] << 8 | (size_t)n[2] << 16;
		char *line = malloc(size);
		if (size > 0 && fread(line, 1, size, stdin) != size)
			exit(1);
		struct answer a;
		memset(&a, 0, sizeof a);
		enum outcome end = read_reply(line, size, &a);
		printf("%d", (int)end);
		if (end == FOUND && a.has_v4)
			print_address(AF_INET, &a.v4);
		if (end == FOUND && a.has_v6)
			print_address(AF_INET6, &a.v6);
		if (end == FOUND && a.name[0] != '\0')
			printf(" %s", a.name);
		printf("\n");
		free(line);
	}
}

int main(int argc, char **argv) {
	if (argc < 2)
		return 2;
	if (strcmp(argv[1], "parse") == 0)
		parse();
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[1], "lookup") == 0)
			lookup(argv[i]);
		else if (strcmp(argv[1], "user") == 0)
			printf("%d\n", is_daemon_user((uid_t)strtoul(argv[i], NULL, 10)));
		fflush(stdout);
	}
	if (strcmp(argv[1], "sizes") == 0 && argc == 4)
		sizes(argv[2], argv[3]);
	return 0;
}
