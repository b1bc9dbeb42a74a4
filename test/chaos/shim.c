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
 *            "read fail ERRNO"   every read fails
 *
 * And keeps and does, when it is told where:
 *
 *   CHAOS_SHIM_SYNCED   file to which each sync appends "INODE SIZE": what a power cut leaves of
 *                       a file that only grows (writes to O_DSYNC files count as a sync)
 *   CHAOS_SHIM_CLOCK    file of 8 bytes: the milliseconds, a signed number of this machine's byte
 *                       order, by which the wall clock is wrong
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum what { NOTHING, SYNC_FAIL, SYNC_SLEEP, WRITE_FAIL, WRITE_SHORT, READ_FAIL };

static const char *prefix;
static const char *command;
static const char *synced;
static const volatile int64_t *clock_error_ms;

__attribute__((constructor)) static void begin(void) {
  prefix = getenv("CHAOS_SHIM_PREFIX");
  command = getenv("CHAOS_SHIM_COMMAND");
  synced = getenv("CHAOS_SHIM_SYNCED");
  const char *clock = getenv("CHAOS_SHIM_CLOCK");
  int fd = clock == NULL ? -1 : open(clock, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    void *mapped = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    clock_error_ms = mapped == MAP_FAILED ? NULL : mapped;
    close(fd);
  }
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
  if (strcmp(object, "read") == 0) {
    return READ_FAIL;
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

static off_t size_of(int fd) {
  int saved = errno;
  struct stat status;
  off_t size = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? status.st_size : -1;
  errno = saved;
  return size;
}

/* Only after the sync has succeeded; `size` is from before it. */
static void note_synced(int fd, off_t size) {
  int saved = errno;
  struct stat status;
  char line[64];
  if (synced != NULL && size >= 0 && is_meant(fd) && fstat(fd, &status) == 0) {
    int log = open(synced, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log >= 0) {
      int length = snprintf(line, sizeof line, "%llu %lld\n", (unsigned long long)status.st_ino,
                            (long long)size);
      syscall(SYS_write, log, line, (size_t)length);
      close(log);
    }
  }
  errno = saved;
}

static void sleep_ms(int ms) {
  struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
  nanosleep(&time, NULL);
}

/* What to do with a write to `fd`. */
static enum what for_write(int fd, int *argument) {
  int saved = errno;
  enum what what = ordered(argument);
  if (what == READ_FAIL || (what != NOTHING && !is_meant(fd))) {
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
  if (synced != NULL && is_synchronous(fd)) {   \
    note_synced(fd, size_of(fd));               \
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
  if (what == READ_FAIL || (what != NOTHING && !is_meant(fd))) {
    what = NOTHING;
  }
  if (what == SYNC_SLEEP) {
    sleep_ms(argument);
  }
  if (what == SYNC_FAIL) {
    errno = argument;
    return -1;
  }
  off_t size = synced == NULL ? -1 : size_of(fd);
  int result = real(fd);
  if (result == 0) {
    note_synced(fd, size);
  }
  return result;
}

int fsync(int fd) { return around_sync(fd, REAL(fsync)); }

int fdatasync(int fd) { return around_sync(fd, REAL(fdatasync)); }

static int refuses_read(int fd) {
  int argument = 0;
  int saved = errno;
  int refuses = ordered(&argument) == READ_FAIL && is_meant(fd);
  errno = refuses ? argument : saved;
  return refuses;
}

#define AROUND_READ(CALL) \
  if (refuses_read(fd)) { \
    return -1;            \
  }                       \
  return CALL

ssize_t read(int fd, void *bytes, size_t size) { AROUND_READ(REAL(read)(fd, bytes, size)); }

ssize_t pread(int fd, void *bytes, size_t size, off_t at) {
  AROUND_READ(REAL(pread)(fd, bytes, size, at));
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t at) {
  AROUND_READ(REAL(pread64)(fd, bytes, size, at));
}

ssize_t preadv(int fd, const struct iovec *parts, int count, off_t at) {
  AROUND_READ(REAL(preadv)(fd, parts, count, at));
}

ssize_t preadv64(int fd, const struct iovec *parts, int count, off64_t at) {
  AROUND_READ(REAL(preadv64)(fd, parts, count, at));
}

static int64_t error_of(clockid_t clock) {
  int is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  return is_wall && clock_error_ms != NULL ? *clock_error_ms : 0;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  static int (*real)(clockid_t, struct timespec *);
  if (real == NULL) {
    real = REAL(clock_gettime);
  }
  int result = real(clock, time);
  int64_t error = error_of(clock);
  if (result == 0 && error != 0) {
    int64_t ms = (int64_t)time->tv_sec * 1000 + time->tv_nsec / 1000000 + error;
    time->tv_sec = ms / 1000;
    time->tv_nsec = ms % 1000 * 1000000 + time->tv_nsec % 1000000;
  }
  return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  (void)zone;
  struct timespec precise;
  int result = clock_gettime(CLOCK_REALTIME, &precise);
  time->tv_sec = precise.tv_sec;
  time->tv_usec = precise.tv_nsec / 1000;
  return result;
}
