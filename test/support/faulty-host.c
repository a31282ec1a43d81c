/*
 * Preloaded into the processes of a host whose disk and clock can be made bad. What is wrong stands in the files of a folder `faults`:
 * beside the data directory for PostgreSQL, whose processes work in that one, or where FAULTY_HOST says. Absent: all is well.
 *
 *   disk   "postgres stall", "all 20000": nothing that these processes write to a file returns, or each only after so many microseconds
 *   clock  "-3600": seconds that the time of day is off; the monotonic clock is right
 *
 * Only files on the disk that `faults` lies on are meant, and no log (descriptors 1 and 2).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define LOOK_US 5000
#define CLOCK_LOOK_MS 20

static char disk_file[512] = "../faults/disk";
static char clock_file[512] = "../faults/clock";
static char folder[512] = "../faults";
static char is_postgres;

#define REAL(type, name, parameters) \
  static type(*real) parameters;     \
  if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name)

/* PostgreSQL's processes write over their names later. */
__attribute__((constructor)) static void begin(void) {
  const char *given = getenv("FAULTY_HOST");
  is_postgres = strcmp(program_invocation_short_name, "postgres") == 0;
  if (!given) return;
  snprintf(folder, sizeof folder, "%s", given);
  snprintf(disk_file, sizeof disk_file, "%s/disk", given);
  snprintf(clock_file, sizeof clock_file, "%s/clock", given);
}

/* What a file says, without what is preloaded here; 0 where there is none. */
static int words_of(const char *file, char *into, size_t size) {
  if (access(file, F_OK) != 0) return 0;
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t got = read(fd, into, size - 1);
  close(fd);
  into[got > 0 ? got : 0] = 0;
  return got > 0;
}

/* -1: not at all. */
static long delay_us(void) {
  char words[64], who[32], how[32];
  if (!words_of(disk_file, words, sizeof words) || sscanf(words, "%31s %31s", who, how) != 2) return 0;
  if (strcmp(who, "all") != 0 && !is_postgres) return 0;
  return strcmp(how, "stall") == 0 ? -1 : atol(how);
}

static void wait_for_disk(int fd) {
  int error = errno;
  struct stat about, disk;
  if (fd > 2 && access(disk_file, F_OK) == 0 && fstat(fd, &about) == 0 && S_ISREG(about.st_mode) &&
      lstat(folder, &disk) == 0 && disk.st_dev == about.st_dev) {
    long delay = delay_us();
    if (delay > 0) usleep(delay);
    while (delay < 0) {
      usleep(LOOK_US);
      delay = delay_us();
    }
  }
  errno = error;
}

#define LATE(type, name, parameters, arguments) \
  type name parameters {                        \
    REAL(type, name, parameters);               \
    wait_for_disk(fd);                          \
    return real arguments;                      \
  }

LATE(ssize_t, write, (int fd, const void *from, size_t size), (fd, from, size))
LATE(ssize_t, writev, (int fd, const struct iovec *from, int count), (fd, from, count))
LATE(ssize_t, pwrite, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
LATE(ssize_t, pwrite64, (int fd, const void *from, size_t size, off64_t at), (fd, from, size, at))
LATE(ssize_t, pwritev, (int fd, const struct iovec *from, int count, off_t at), (fd, from, count, at))
LATE(ssize_t, pwritev64, (int fd, const struct iovec *from, int count, off64_t at), (fd, from, count, at))
LATE(int, fsync, (int fd), (fd))
LATE(int, fdatasync, (int fd), (fd))
LATE(int, sync_file_range, (int fd, off64_t at, off64_t size, unsigned int flags), (fd, at, size, flags))

static long offset_s(void) {
  static _Thread_local long offset;
  static _Thread_local struct timespec looked;
  REAL(int, clock_gettime, (clockid_t, struct timespec *));
  struct timespec now;
  if (real(CLOCK_MONOTONIC_COARSE, &now) != 0) return offset;
  long sinceMs = (now.tv_sec - looked.tv_sec) * 1000 + (now.tv_nsec - looked.tv_nsec) / 1000000;
  if (sinceMs < CLOCK_LOOK_MS) return offset;
  looked = now;
  int error = errno;
  char words[32];
  offset = words_of(clock_file, words, sizeof words) ? atol(words) : 0;
  errno = error;
  return offset;
}

int clock_gettime(clockid_t clock, struct timespec *into) {
  REAL(int, clock_gettime, (clockid_t, struct timespec *));
  int result = real(clock, into);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) into->tv_sec += offset_s();
  return result;
}

int gettimeofday(struct timeval *restrict into, void *restrict zone) {
  REAL(int, gettimeofday, (struct timeval *, void *));
  int result = real(into, zone);
  if (result == 0) into->tv_sec += offset_s();
  return result;
}

time_t time(time_t *into) {
  REAL(time_t, time, (time_t *));
  time_t now = real(NULL) + offset_s();
  if (into) *into = now;
  return now;
}
