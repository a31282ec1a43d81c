/*
 * Preloaded into PostgreSQL: while a file "stalled" lies beside the data directory, nothing that it writes to a file returns.
 * PostgreSQL's processes work in their data directory. Its log (descriptors 1 and 2) is on another disk.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define LOOK_US 5000

static void wait_for_disk(int fd) {
  struct stat about;
  if (fd <= 2 || access("../stalled", F_OK) != 0) return;
  if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) return;
  while (access("../stalled", F_OK) == 0) usleep(LOOK_US);
}

#define STALLED(type, name, parameters, arguments)                   \
  type name parameters {                                             \
    static type(*real) parameters;                                   \
    if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name);   \
    wait_for_disk(fd);                                               \
    return real arguments;                                           \
  }

STALLED(ssize_t, write, (int fd, const void *from, size_t size), (fd, from, size))
STALLED(ssize_t, pwrite, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
STALLED(ssize_t, pwrite64, (int fd, const void *from, size_t size, off64_t at), (fd, from, size, at))
STALLED(ssize_t, pwritev, (int fd, const struct iovec *from, int count, off_t at), (fd, from, count, at))
STALLED(ssize_t, pwritev64, (int fd, const struct iovec *from, int count, off64_t at), (fd, from, count, at))
STALLED(int, fsync, (int fd), (fd))
STALLED(int, fdatasync, (int fd), (fd))
STALLED(int, sync_file_range, (int fd, off64_t at, off64_t size, unsigned int flags), (fd, at, size, flags))
