/*
 * Preloaded into a member: makes its disk fail or stall on command, for files under one directory.
 *
 *   CHAOS_SHIM_PREFIX   directory whose files are meant
 *   CHAOS_SHIM_COMMAND  file that holds the command; while it is absent nothing happens
 *
 * Commands:  "sync fail ERRNO"   syncs (fsync, fdatasync, writes to O_DSYNC files) fail after
 *                                their bytes have reached the page cache
 *            "write fail ERRNO"  every write fails and writes nothing
 *            "write short 0"     every write of more than one byte writes half of it
 *            "sync sleep MS"     syncs take that much longer
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum what { NOTHING, SYNC_FAIL, SYNC_SLEEP, WRITE_FAIL, WRITE_SHORT };

static const char *prefix;
static const char *command;

__attribute__((constructor)) static void begin(void) {
  prefix = getenv("CHAOS_SHIM_PREFIX");
  command = getenv("CHAOS_SHIM_COMMAND");
}

static enum what ordered(int *argument) {
  char text[64];
  char object[16];
  char verb[16];
  if (prefix == NULL || command == NULL || access(command, R_OK) != 0) {
    return NOTHING;
  }
  int fd = open(command, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return NOTHING;
  }
  ssize_t size = syscall(SYS_read, fd, text, sizeof text - 1);
  close(fd);
  if (size <= 0) {
    return NOTHING;
  }
  text[size] = 0;
  if (sscanf(text, "%15s %15s %d", object, verb, argument) != 3) {
    return NOTHING;
  }
  int sync = strcmp(object, "sync") == 0;
  if (strcmp(verb, "fail") == 0) {
    return sync ? SYNC_FAIL : WRITE_FAIL;
  }
  return strcmp(verb, "sleep") == 0 ? SYNC_SLEEP : WRITE_SHORT;
}

static int is_meant(int fd) {
  char link[64];
  char path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size <= 0) {
    return 0;
  }
  path[size] = 0;
  return strncmp(path, prefix, strlen(prefix)) == 0;
}

static int is_synchronous(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_DSYNC) != 0;
}

static void sleep_ms(int ms) {
  struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
  nanosleep(&time, NULL);
}

/* What to do with a write to `fd`. */
static enum what for_write(int fd, int *argument) {
  int saved = errno;
  enum what what = ordered(argument);
  if (what != NOTHING && !is_meant(fd)) {
    what = NOTHING;
  }
  if ((what == SYNC_FAIL || what == SYNC_SLEEP) && !is_synchronous(fd)) {
    what = NOTHING;
  }
  errno = saved;
  return what;
}

#define AROUND_WRITE(RETURN_SHORT, CALL)        \
  int argument = 0;                             \
  enum what what = for_write(fd, &argument);    \
  if (what == WRITE_FAIL) {                     \
    errno = argument;                           \
    return -1;                                  \
  }                                             \
  if (what == WRITE_SHORT) {                    \
    RETURN_SHORT;                               \
  }                                             \
  if (what == SYNC_SLEEP) {                     \
    sleep_ms(argument);                         \
  }                                             \
  ssize_t written = CALL;                       \
  if (what == SYNC_FAIL) {                      \
    errno = argument;                           \
    return -1;                                  \
  }                                             \
  return written

#define REAL(NAME) ((__typeof__(&NAME))dlsym(RTLD_NEXT, #NAME))

static size_t half(size_t size) { return size > 1 ? size / 2 : size; }

ssize_t write(int fd, const void *bytes, size_t size) {
  AROUND_WRITE(return REAL(write)(fd, bytes, half(size)), REAL(write)(fd, bytes, size));
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) {
  AROUND_WRITE(return REAL(pwrite)(fd, bytes, half(size), at), REAL(pwrite)(fd, bytes, size, at));
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
  AROUND_WRITE(return REAL(pwrite64)(fd, bytes, half(size), at),
               REAL(pwrite64)(fd, bytes, size, at));
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  AROUND_WRITE(return REAL(write)(fd, parts[0].iov_base, half(parts[0].iov_len)),
               REAL(writev)(fd, parts, count));
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  AROUND_WRITE(return REAL(pwrite)(fd, parts[0].iov_base, half(parts[0].iov_len), at),
               REAL(pwritev)(fd, parts, count, at));
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  AROUND_WRITE(return REAL(pwrite64)(fd, parts[0].iov_base, half(parts[0].iov_len), at),
               REAL(pwritev64)(fd, parts, count, at));
}

static int around_sync(int fd, int (*real)(int)) {
  int argument = 0;
  enum what what = ordered(&argument);
  if (what == NOTHING || !is_meant(fd)) {
    return real(fd);
  }
  if (what == SYNC_SLEEP) {
    sleep_ms(argument);
  }
  if (what == SYNC_FAIL) {
    errno = argument;
    return -1;
  }
  return real(fd);
}

int fsync(int fd) { return around_sync(fd, REAL(fsync)); }

int fdatasync(int fd) { return around_sync(fd, REAL(fdatasync)); }
