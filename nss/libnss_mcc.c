// SPDX-License-Identifier: Apache-2.0

// libnss_mcc.so.2 lets every program on a GNU system find node ids and the names of tunnels: it
// asks the daemon on this machine over its Unix socket, and nobody else.
//
// It is loaded into processes that nobody here has seen, so it has no state, no threads, no
// malloc and no signals, never takes longer than PATIENCE_MS, and where anything is out of the
// ordinary it says that it knows nothing, which lets the next source of nsswitch.conf answer.
//
//	program -> getaddrinfo -> nsswitch.conf: files mcc [SUCCESS=return] dns
//	                                               |
//	                 {"op":"lookup","args":{"name":"camera1"}}
//	                 {"ok":true,"result":{"v4":"10.83.0.2","v6":"2f3:..."}}
//	                                               |
//	                                             mccd
//
// Who decides whether a name is ours is the daemon. An answer steers traffic, so only a daemon
// that root or the user mcc runs is believed, by the kernel's word (SO_PEERCRED, unix(7)).

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <nss.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	PATIENCE_MS = 400, // for one lookup in all; some programs make two in a row
	RETRY_MS = 5,      // between attempts to get into a full queue of connections
	NAME_SIZE = 254,   // the longest name that can be asked (RFC 1035), with its NUL
	REQUEST_SIZE = 384, // the longest request: NAME_SIZE and what stands around it
	REPLY_SIZE = 1024,  // the longest reply that is read; ours are shorter
	WORD_SIZE = NAME_SIZE,
	LINE_SIZE = 64, // of a line of the user database: its begin is enough
};

// The places of the socket in the order in which the daemon tries them, too.
static const char *const default_paths[] = {"/run/mcc/mcc.sock", "/tmp/.mcc-socket"};

#define DAEMON_USER "mcc"

#ifndef USER_DATABASE // tests have one of their own
#define USER_DATABASE "/etc/passwd"
#endif

// An answer is what the daemon knows.
struct answer {
	bool has_v4, has_v6;
	struct in_addr v4;
	struct in6_addr v6;
	char name[NAME_SIZE]; // empty: none
};

// An outcome is how a lookup ended.
enum outcome {
	FOUND,
	NOT_FOUND, // the daemon says that it is none of ours
	LATER,     // the daemon asks the network and has no answer yet
	NO_DAEMON, // nobody who can be believed has answered
};

// ------------------------------------------------------------------ time

static int64_t now_ms(void) {
	struct timespec t;
	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		return INT64_MAX / 2; // beyond every deadline
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// wait_until waits for an event of a file, or only for time to pass when fd is negative.
static bool wait_until(int fd, short events, int64_t deadline) {
	for (;;) {
		int64_t left = deadline - now_ms();
		if (left <= 0)
			return false;
		struct pollfd p = {.fd = fd, .events = events, .revents = 0};
		int n = poll(&p, 1, left > PATIENCE_MS ? PATIENCE_MS : (int)left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
}

// ------------------------------------------------------------------ the daemon

// names_daemon tells whether a line of the user database gives user mcc this id:
// "mcc:x:998:998:...".
static bool names_daemon(const char *line, uid_t uid) {
	if (strncmp(line, DAEMON_USER ":", sizeof DAEMON_USER) != 0)
		return false;
	const char *number = strchr(line + sizeof DAEMON_USER, ':'); // behind the password
	if (number == NULL || number[1] < '0' || number[1] > '9')
		return false;
	char *end;
	unsigned long value = strtoul(number + 1, &end, 10);
	return *end == ':' && value == (unsigned long)uid;
}

// is_daemon_user tells whether a user id is that of user mcc. It reads the file itself: asking
// the C library for users could lead back to modules like this one.
static bool is_daemon_user(uid_t uid) {
	int fd = open(USER_DATABASE, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	char chunk[512], line[LINE_SIZE];
	size_t used = 0;
	bool found = false;
	ssize_t n;
	while (!found && (n = read(fd, chunk, sizeof chunk)) > 0) {
		for (ssize_t i = 0; i < n && !found; i++) {
			if (chunk[i] != '\n') {
				if (used < sizeof line - 1)
					line[used++] = chunk[i];
				continue;
			}
			line[used] = '\0';
			used = 0;
			found = names_daemon(line, uid);
		}
	}
	close(fd);
	return found;
}

// believable tells whether the process behind a connection may be the daemon.
static bool believable(int fd) {
	struct ucred peer;
	socklen_t size = sizeof peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof peer)
		return false;
#ifdef MCC_BELIEVE_OWN_USER // only in tests, which are not root
	if (peer.uid == geteuid())
		return true;
#endif
	return peer.uid == 0 || is_daemon_user(peer.uid);
}

// reach connects to a socket; a negative number means that nobody believable is there.
static int reach(const char *path, int64_t deadline) {
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	size_t length = strlen(path);
	if (length >= sizeof at.sun_path)
		return -1;
	memcpy(at.sun_path, path, length);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	while (connect(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
		int64_t pause = now_ms() + RETRY_MS;
		bool full = errno == EAGAIN || errno == EINTR;
		if (!full || pause > deadline) {
			close(fd);
			return -1;
		}
		(void)wait_until(-1, 0, pause);
	}
	if (!believable(fd)) {
		close(fd);
		return -1;
	}
	return fd;
}

// send_all sends a request.
static bool send_all(int fd, const char *p, size_t left, int64_t deadline) {
	while (left > 0) {
		ssize_t n = send(fd, p, left, MSG_NOSIGNAL);
		if (n > 0) {
			p += n;
			left -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			if (!wait_until(fd, POLLOUT, deadline))
				return false;
		} else if (n == 0 || errno != EINTR) {
			return false;
		}
	}
	return true;
}

// receive_line reads up to the end of a line and returns its length without it; negative: there
// was none in time, or it was too long.
static ssize_t receive_line(int fd, char *line, size_t size, int64_t deadline) {
	size_t used = 0;
	while (used < size && wait_until(fd, POLLIN, deadline)) {
		ssize_t n = recv(fd, line + used, size - used, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return -1;
		const char *end = memchr(line + used, '\n', (size_t)n);
		if (end != NULL)
			return end - line;
		used += (size_t)n;
	}
	return -1;
}

// ------------------------------------------------------------------ the reply

// A span is what is left to be read of a reply.
struct span {
	const char *at, *end;
};

// eat goes past a text if the span begins with it.
static bool eat(struct span *s, const char *text) {
	size_t n = strlen(text);
	if ((size_t)(s->end - s->at) < n || memcmp(s->at, text, n) != 0)
		return false;
	s->at += n;
	return true;
}

static bool plain(char c) {
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '-' || c == '_';
}

// eat_word goes past a quoted word without escapes and copies it.
static bool eat_word(struct span *s, char word[WORD_SIZE]) {
	size_t n = 0;
	if (!eat(s, "\""))
		return false;
	for (; s->at < s->end && (plain(*s->at) || *s->at == ':'); s->at++) {
		if (n == WORD_SIZE - 1)
			return false;
		word[n++] = *s->at;
	}
	word[n] = '\0';
	return eat(s, "\"");
}

// put_field takes one field of a result. Fields of a later version are passed over.
static bool put_field(struct answer *a, const char *key, const char *word) {
	if (strcmp(key, "v4") == 0)
		return a->has_v4 = inet_pton(AF_INET, word, &a->v4) == 1;
	if (strcmp(key, "v6") == 0)
		return a->has_v6 = inet_pton(AF_INET6, word, &a->v6) == 1;
	if (strcmp(key, "name") == 0)
		memcpy(a->name, word, strlen(word) + 1);
	return true;
}

// read_reply reads the line that answers a request. It knows the form in which the daemon writes
// JSON, and no other: whatever else comes is not an answer.
static enum outcome read_reply(const char *line, size_t length, struct answer *a) {
	struct span s = {line, line + length};
	if (eat(&s, "{\"ok\":false,\"code\":\"not-found\""))
		return NOT_FOUND;
	if (eat(&s, "{\"ok\":false,\"code\":\"timeout\""))
		return LATER;
	if (!eat(&s, "{\"ok\":true,\"result\":{"))
		return NO_DAEMON;
	do {
		char key[WORD_SIZE], word[WORD_SIZE];
		if (!eat_word(&s, key) || !eat(&s, ":") || !eat_word(&s, word) ||
		    !put_field(a, key, word))
			return NO_DAEMON;
	} while (eat(&s, ","));
	return eat(&s, "}}") && s.at == s.end ? FOUND : NO_DAEMON;
}

// ------------------------------------------------------------------ the question

// ask_at puts a request to the daemon at one place.
static enum outcome ask_at(const char *path, const char *request, size_t length,
			   struct answer *a, int64_t deadline) {
	int fd = reach(path, deadline);
	if (fd < 0)
		return NO_DAEMON;
	enum outcome end = NO_DAEMON;
	char line[REPLY_SIZE];
	if (send_all(fd, request, length, deadline)) {
		ssize_t n = receive_line(fd, line, sizeof line, deadline);
		if (n >= 0)
			end = read_reply(line, (size_t)n, a);
	}
	close(fd);
	return end;
}

// ask puts {"op":"lookup","args":{KIND:VALUE}} to the first daemon that answers. The value needs
// no escapes.
static enum outcome ask(const char *kind, const char *value, struct answer *a) {
	int64_t deadline = now_ms() + PATIENCE_MS;
	char request[REQUEST_SIZE], *end = request;
	const char *const parts[] = {
		"{\"op\":\"lookup\",\"args\":{\"", kind, "\":\"", value, "\"}}\n",
	};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		size_t n = strlen(parts[i]);
		if (n > (size_t)(request + sizeof request - end))
			return NOT_FOUND;
		memcpy(end, parts[i], n);
		end += n;
	}
	size_t length = (size_t)(end - request);
	memset(a, 0, sizeof *a);

	// secure_getenv gives nothing to programs that have more rights than who started them.
	const char *named = secure_getenv("MCC_UNIX_SOCKET_PATH");
	if (named != NULL && *named != '\0')
		return ask_at(named, request, length, a, deadline);
	for (size_t i = 0; i < sizeof default_paths / sizeof *default_paths; i++) {
		enum outcome got = ask_at(default_paths[i], request, length, a, deadline);
		if (got != NO_DAEMON)
			return got;
		memset(a, 0, sizeof *a);
	}
	return NO_DAEMON;
}

// ask_name finds the addresses of a name. What cannot be a name of ours is not even asked.
static enum outcome ask_name(const char *name, struct answer *a) {
	size_t n = 0;
	for (; name[n] != '\0'; n++) {
		if (!plain(name[n]) || n == NAME_SIZE - 1)
			return NOT_FOUND;
	}
	if (n == 0 || strcasecmp(name, "localhost") == 0)
		return NOT_FOUND;
	return ask("name", name, a);
}

// ------------------------------------------------------------------ what the C library wants

// A result is where the C library wants errors.
struct result {
	int *error, *h_error;
};

static enum nss_status fail(struct result r, enum nss_status status, int error, int h_error) {
	*r.error = error;
	*r.h_error = h_error;
	return status;
}

static enum nss_status no_room(struct result r) {
	return fail(r, NSS_STATUS_TRYAGAIN, ERANGE, NETDB_INTERNAL);
}

// no_address ends the search for a name that is ours but has no address of the wanted family.
// The sources after this one must not be asked for it: they would learn the name, and their
// answer would steer what is meant for a tunnel elsewhere.
static enum nss_status no_address(struct result r) {
	return fail(r, NSS_STATUS_RETURN, ENOENT, NO_DATA);
}

// status_of tells the C library how a lookup without an answer ended.
static enum nss_status status_of(struct result r, enum outcome end) {
	switch (end) {
	case LATER:
		return fail(r, NSS_STATUS_TRYAGAIN, EAGAIN, TRY_AGAIN);
	case NO_DAEMON:
		return fail(r, NSS_STATUS_UNAVAIL, ENOENT, NO_RECOVERY);
	case FOUND:
	case NOT_FOUND:
		break;
	}
	return fail(r, NSS_STATUS_NOTFOUND, ENOENT, HOST_NOT_FOUND);
}

// A room is what is left of the caller's buffer.
struct room {
	char *at;
	size_t left;
};

// A block begins a buffer in which everything of a struct hostent lies.
struct block {
	char *aliases[1];
	char *addresses[2];
	struct in6_addr address; // or the shorter one
};

// carve takes aligned room for n bytes; NULL when there is none.
static void *carve(struct room *r, size_t n, size_t align) {
	size_t skip = (align - (uintptr_t)r->at % align) % align;
	if (r->left < skip || r->left - skip < n)
		return NULL;
	void *p = r->at + skip;
	r->at += skip + n;
	r->left -= skip + n;
	return p;
}

// fill makes a struct hostent of a name and one address.
static bool fill(struct hostent *h, struct room room, const char *name, int family,
		 const void *address) {
	size_t length = strlen(name) + 1;
	struct block *b = carve(&room, sizeof *b, _Alignof(struct block));
	char *copy = carve(&room, length, 1);
	if (b == NULL || copy == NULL)
		return false;
	memcpy(copy, name, length);
	h->h_name = copy;
	h->h_addrtype = family;
	h->h_length = family == AF_INET ? (int)sizeof(struct in_addr) : (int)sizeof(struct in6_addr);
	memcpy(&b->address, address, (size_t)h->h_length);
	b->aliases[0] = NULL;
	b->addresses[0] = (char *)&b->address;
	b->addresses[1] = NULL;
	h->h_aliases = b->aliases;
	h->h_addr_list = b->addresses;
	return true;
}

#define EXPORTED __attribute__((visibility("default")))

EXPORTED enum nss_status _nss_mcc_gethostbyname_r(const char *, struct hostent *, char *, size_t,
						  int *, int *);
EXPORTED enum nss_status _nss_mcc_gethostbyname2_r(const char *, int, struct hostent *, char *,
						   size_t, int *, int *);
EXPORTED enum nss_status _nss_mcc_gethostbyname3_r(const char *, int, struct hostent *, char *,
						   size_t, int *, int *, int32_t *, char **);
EXPORTED enum nss_status _nss_mcc_gethostbyname4_r(const char *, struct gaih_addrtuple **, char *,
						   size_t, int *, int *, int32_t *);
EXPORTED enum nss_status _nss_mcc_gethostbyaddr_r(const void *, socklen_t, int, struct hostent *,
						  char *, size_t, int *, int *);
EXPORTED enum nss_status _nss_mcc_gethostbyaddr2_r(const void *, socklen_t, int, struct hostent *,
						   char *, size_t, int *, int *, int32_t *);

// gethostbyname4_r is what getaddrinfo calls: both families in one question.
enum nss_status _nss_mcc_gethostbyname4_r(const char *name, struct gaih_addrtuple **list,
					  char *buffer, size_t size, int *error, int *h_error,
					  int32_t *ttl) {
	struct result r = {error, h_error};
	struct room room = {buffer, size};
	size_t length = strlen(name) + 1;
	struct gaih_addrtuple *t = carve(&room, 2 * sizeof *t, _Alignof(struct gaih_addrtuple));
	char *copy = carve(&room, length, 1);
	if (t == NULL || copy == NULL)
		return no_room(r);
	struct answer a;
	enum outcome end = ask_name(name, &a);
	if (end != FOUND)
		return status_of(r, end);
	if (!a.has_v4 && !a.has_v6)
		return no_address(r);
	memcpy(copy, name, length);
	memset(t, 0, 2 * sizeof *t);
	size_t n = 0;
	if (a.has_v6) {
		t[n].family = AF_INET6;
		memcpy(t[n].addr, &a.v6, sizeof a.v6);
		t[n++].name = copy;
	}
	if (a.has_v4) {
		t[n].family = AF_INET;
		memcpy(t[n].addr, &a.v4, sizeof a.v4);
		t[n++].name = copy;
	}
	if (n == 2)
		t[0].next = &t[1];
	if (*list != NULL)
		**list = *t; // nscd brings the first one itself
	else
		*list = t;
	if (ttl != NULL)
		*ttl = 0;
	return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_mcc_gethostbyname3_r(const char *name, int family, struct hostent *host,
					  char *buffer, size_t size, int *error, int *h_error,
					  int32_t *ttl, char **canonical) {
	struct result r = {error, h_error};
	struct room room = {buffer, size};
	if (family == AF_UNSPEC)
		family = AF_INET;
	if (family != AF_INET && family != AF_INET6)
		return fail(r, NSS_STATUS_UNAVAIL, EAFNOSUPPORT, NO_DATA);
	struct in6_addr none = IN6ADDR_ANY_INIT;
	if (!fill(host, room, name, family, &none))
		return no_room(r); // before the question, which a larger buffer would repeat
	struct answer a;
	enum outcome end = ask_name(name, &a);
	if (end != FOUND)
		return status_of(r, end);
	if (family == AF_INET ? !a.has_v4 : !a.has_v6)
		return no_address(r);
	const void *address = family == AF_INET ? (const void *)&a.v4 : (const void *)&a.v6;
	if (!fill(host, room, name, family, address))
		return no_room(r);
	if (ttl != NULL)
		*ttl = 0;
	if (canonical != NULL)
		*canonical = host->h_name;
	return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_mcc_gethostbyname2_r(const char *name, int family, struct hostent *host,
					  char *buffer, size_t size, int *error, int *h_error) {
	return _nss_mcc_gethostbyname3_r(name, family, host, buffer, size, error, h_error, NULL,
					 NULL);
}

enum nss_status _nss_mcc_gethostbyname_r(const char *name, struct hostent *host, char *buffer,
					 size_t size, int *error, int *h_error) {
	return _nss_mcc_gethostbyname3_r(name, AF_INET, host, buffer, size, error, h_error, NULL,
					 NULL);
}

enum nss_status _nss_mcc_gethostbyaddr2_r(const void *address, socklen_t length, int family,
					  struct hostent *host, char *buffer, size_t size,
					  int *error, int *h_error, int32_t *ttl) {
	struct result r = {error, h_error};
	struct room room = {buffer, size};
	bool four = family == AF_INET && length == sizeof(struct in_addr);
	bool six = family == AF_INET6 && length == sizeof(struct in6_addr);
	char text[INET6_ADDRSTRLEN];
	if ((!four && !six) || inet_ntop(family, address, text, sizeof text) == NULL)
		return fail(r, NSS_STATUS_UNAVAIL, EAFNOSUPPORT, NO_DATA);
	if (size < sizeof(struct block) + _Alignof(struct block) + NAME_SIZE)
		return no_room(r);
	struct answer a;
	enum outcome end = ask("address", text, &a);
	if (end != FOUND || a.name[0] == '\0')
		return status_of(r, end);
	if (!fill(host, room, a.name, family, address))
		return no_room(r);
	if (ttl != NULL)
		*ttl = 0;
	return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_mcc_gethostbyaddr_r(const void *address, socklen_t length, int family,
					 struct hostent *host, char *buffer, size_t size,
					 int *error, int *h_error) {
	return _nss_mcc_gethostbyaddr2_r(address, length, family, host, buffer, size, error,
					 h_error, NULL);
}
