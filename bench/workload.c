/*
 * The loops of the benches, in C so that the measuring program is never the slow part.
 *
 *   workload stat   LIST SECONDS                     lstat of every path in LIST
 *   workload files  LIST THREADS SECONDS             open, read to the end, close
 *   workload seq    FILE BLOCK_BYTES                 read to the end
 *   workload random FILE COUNT THREADS SECONDS SEED  4 KiB at random multiples of 4 KiB
 *   workload first  LIST                             open, read 4 KiB, close; the median of each
 *   workload entry  DIRECTORY                        open and read the first entry
 *   workload make   DIRECTORY COUNT                  create empty files f000000, f000001, …
 *   workload evict  LIST                             drop the files from the kernel's page cache
 *   workload run    COMMAND [ARGUMENT ...]           start it and wait for it
 *   workload beside FILE COMMAND [ARGUMENT ...]      the same, and stat FILE a thousand times a second
 *
 * LIST has one path a line. Loops end after SECONDS, done or not. Prints one line of JSON; an error
 * ends the program with exit code 1: a figure of a workload that failed is none.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RANDOM_BYTES = 4096, FILE_BLOCK_BYTES = 1 << 20, THREADS_MAX = 64 };

static char **paths;
static size_t path_count;
static double deadline;
static atomic_size_t next_index;
static atomic_ulong done_count, done_bytes;
static const char *random_path;
static uint64_t random_pages, random_seed;
static size_t random_count;
static double median_seconds, slowest_seconds;

static void die(const char *what) {
  fprintf(stderr, "workload: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void read_list(const char *file) {
  FILE *in = fopen(file, "r");
  char *line = NULL;
  size_t room = 0, capacity = 0;
  ssize_t length;
  if (in == NULL) die(file);
  while ((length = getline(&line, &room, in)) > 0) {
    if (line[length - 1] == '\n') line[length - 1] = '\0';
    if (path_count == capacity) {
      capacity = capacity == 0 ? 1024 : capacity * 2;
      paths = realloc(paths, capacity * sizeof *paths);
      if (paths == NULL) die("memory");
    }
    paths[path_count++] = strdup(line);
  }
  free(line);
  fclose(in);
}

static double seconds_of(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

static void report(double seconds) {
  struct rusage used;
  if (getrusage(RUSAGE_CHILDREN, &used) != 0) die("getrusage");
  printf("{\"seconds\":%.6f,\"count\":%lu,\"bytes\":%lu,\"cpuSeconds\":%.3f,"
         "\"medianSeconds\":%.9f,\"slowestSeconds\":%.9f}\n",
         seconds, done_count, done_bytes, seconds_of(used.ru_utime) + seconds_of(used.ru_stime),
         median_seconds, slowest_seconds);
}

static void stat_all(void) {
  struct stat status;
  for (size_t i = 0; i < path_count && now() < deadline; i++) {
    if (lstat(paths[i], &status) != 0) die(paths[i]);
    done_count++;
  }
}

static uint64_t read_whole(const char *path, char *buffer, size_t block) {
  uint64_t total = 0;
  ssize_t got;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) die(path);
  while ((got = read(fd, buffer, block)) > 0) total += (uint64_t)got;
  if (got < 0) die(path);
  if (close(fd) != 0) die(path);
  return total;
}

static char *new_buffer(size_t size) {
  void *buffer;
  if (posix_memalign(&buffer, 4096, size) != 0) die("memory");
  memset(buffer, 0, size);
  return buffer;
}

static void *read_files(void *unused) {
  char *buffer = new_buffer(FILE_BLOCK_BYTES);
  for (;;) {
    size_t i = atomic_fetch_add(&next_index, 1);
    if (i >= path_count || now() >= deadline) break;
    atomic_fetch_add(&done_bytes, read_whole(paths[i], buffer, FILE_BLOCK_BYTES));
    atomic_fetch_add(&done_count, 1);
  }
  free(buffer);
  return unused;
}

static int by_number(const void *a, const void *b) {
  double difference = *(const double *)a - *(const double *)b;
  return difference < 0 ? -1 : difference > 0;
}

static void read_beginnings(void) {
  char *buffer = new_buffer(RANDOM_BYTES);
  double *took = calloc(path_count, sizeof *took);
  if (took == NULL) die("memory");
  for (size_t i = 0; i < path_count; i++) {
    double started = now();
    int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
    if (fd < 0) die(paths[i]);
    ssize_t got = read(fd, buffer, RANDOM_BYTES);
    took[i] = now() - started;
    if (got != RANDOM_BYTES) die(paths[i]);
    done_bytes += (uint64_t)got;
    done_count++;
    if (close(fd) != 0) die(paths[i]);
  }
  if (path_count > 0) {
    qsort(took, path_count, sizeof *took, by_number);
    median_seconds = took[path_count / 2];
  }
  free(took);
  free(buffer);
}

static void read_first_entry(const char *path) {
  DIR *directory = opendir(path);
  struct dirent *entry;
  if (directory == NULL) die(path);
  do {
    errno = 0;
    entry = readdir(directory);
    if (entry == NULL) die(path);
  } while (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
  done_count = 1;
}

static void make_files(const char *path, size_t count) {
  char name[32];
  int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) die(path);
  for (size_t i = 0; i < count; i++) {
    snprintf(name, sizeof name, "f%06zu", i);
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || close(fd) != 0) die(name);
  }
  done_count = count;
}

/* splitmix64: any index gives a well mixed number, so threads need no state in common. */
static uint64_t mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static void *read_random(void *unused) {
  char *buffer = new_buffer(RANDOM_BYTES);
  int fd = open(random_path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) die(random_path);
  for (;;) {
    size_t i = atomic_fetch_add(&next_index, 1);
    if (i >= random_count || now() >= deadline) break;
    uint64_t page = mixed(random_seed + i) % random_pages;
    ssize_t got = pread(fd, buffer, RANDOM_BYTES, (off_t)(page * RANDOM_BYTES));
    if (got != RANDOM_BYTES) die(random_path);
    atomic_fetch_add(&done_bytes, RANDOM_BYTES);
    atomic_fetch_add(&done_count, 1);
  }
  close(fd);
  free(buffer);
  return unused;
}

static void in_threads(int count, void *(*work)(void *)) {
  pthread_t threads[THREADS_MAX];
  if (count < 1 || count > THREADS_MAX) {
    errno = EINVAL;
    die("threads");
  }
  for (int i = 0; i < count; i++)
    if ((errno = pthread_create(&threads[i], NULL, work, NULL)) != 0) die("thread");
  for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

/* Prints how many of the kernel's pages are left, so that nobody believes in vain. */
static void evict_all(void) {
  unsigned long left = 0, total = 0;
  for (size_t i = 0; i < path_count; i++) {
    struct stat status;
    int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) die(paths[i]);
    errno = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (errno != 0) die(paths[i]);
    size_t pages = ((size_t)status.st_size + 4095) / 4096;
    if (pages > 0) {
      void *map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
      unsigned char *in_core = malloc(pages);
      if (map == MAP_FAILED || in_core == NULL) die(paths[i]);
      if (mincore(map, (size_t)status.st_size, in_core) != 0) die(paths[i]);
      for (size_t page = 0; page < pages; page++) left += in_core[page] & 1;
      total += pages;
      free(in_core);
      munmap(map, (size_t)status.st_size);
    }
    close(fd);
  }
  done_count = left;
  done_bytes = total * 4096;
}

/* `beside`: asked of its server all the while, past what the kernel knows; or NULL. */
static void run_command(char **arguments, const char *beside) {
  int status;
  pid_t child = fork();
  if (child < 0) die("fork");
  if (child == 0) {
    int out = open("/dev/null", O_WRONLY);
    if (out < 0 || dup2(out, 1) < 0) _exit(127);
    execvp(arguments[0], arguments);
    _exit(127);
  }
  if (beside != NULL) {
    pid_t ended;
    while ((ended = waitpid(child, &status, WNOHANG)) == 0) {
      struct statx known;
      double began = now(), took;
      if (statx(AT_FDCWD, beside, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &known) != 0) die(beside);
      took = now() - began;
      if (took > slowest_seconds) slowest_seconds = took;
      usleep(1000);
    }
    if (ended < 0) die("wait");
  } else if (waitpid(child, &status, 0) < 0) die("wait");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fprintf(stderr, "workload: %s: exit status %d\n", arguments[0], status);
    exit(1);
  }
  done_count = 1;
}

int main(int argc, char **argv) {
  const char *kind = argc > 2 ? argv[1] : "";
  double started;
  if (strcmp(kind, "stat") == 0 && argc == 4) {
    read_list(argv[2]);
    started = now();
    deadline = started + atof(argv[3]);
    stat_all();
  } else if (strcmp(kind, "files") == 0 && argc == 5) {
    read_list(argv[2]);
    started = now();
    deadline = started + atof(argv[4]);
    in_threads(atoi(argv[3]), read_files);
  } else if (strcmp(kind, "seq") == 0 && argc == 4) {
    size_t block = strtoul(argv[3], NULL, 10);
    char *buffer = new_buffer(block);
    started = now();
    done_bytes = read_whole(argv[2], buffer, block);
    done_count = 1;
  } else if (strcmp(kind, "random") == 0 && argc == 7) {
    struct stat status;
    random_path = argv[2];
    random_count = strtoul(argv[3], NULL, 10);
    random_seed = strtoul(argv[6], NULL, 10) << 32;
    if (stat(random_path, &status) != 0) die(random_path);
    random_pages = (uint64_t)status.st_size / RANDOM_BYTES;
    started = now();
    deadline = started + atof(argv[5]);
    in_threads(atoi(argv[4]), read_random);
  } else if (strcmp(kind, "first") == 0 && argc == 3) {
    read_list(argv[2]);
    started = now();
    read_beginnings();
  } else if (strcmp(kind, "entry") == 0 && argc == 3) {
    started = now();
    read_first_entry(argv[2]);
    report(now() - started);
    /* Closing such a directory may wait for the rest of it. */
    return 0;
  } else if (strcmp(kind, "make") == 0 && argc == 4) {
    started = now();
    make_files(argv[2], strtoul(argv[3], NULL, 10));
  } else if (strcmp(kind, "evict") == 0 && argc == 3) {
    read_list(argv[2]);
    started = now();
    evict_all();
  } else if (strcmp(kind, "run") == 0) {
    started = now();
    run_command(argv + 2, NULL);
  } else if (strcmp(kind, "beside") == 0 && argc > 3) {
    started = now();
    run_command(argv + 3, argv[2]);
  } else {
    fprintf(stderr, "workload: see the head of workload.c\n");
    return 2;
  }
  report(now() - started);
  return 0;
}
