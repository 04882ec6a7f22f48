/*
 * What libfuse itself costs: a low-level server with libfuse's own threads that knows all names and
 * attributes of a local directory from its start on and reads the files beneath. The yardstick for
 * messages between the kernel and a mount; nothing is fetched and nothing is cached.
 *
 *   libfuse SOURCE MOUNTPOINT
 *
 * Runs in the foreground until it is unmounted. What changes below SOURCE afterwards is not seen.
 */
#define FUSE_USE_VERSION 312
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The attributes do not change; the kernel asks again all the same once it has dropped them. */
static const double TIMEOUT_SECONDS = 3600;

struct node {
  char *name;
  fuse_ino_t parent;
  struct stat attributes;
  /* Node ids of what is in a directory, one after the other; the tree is read breadth first. */
  fuse_ino_t first_child;
  size_t child_count;
};

/* Ids start at 1, the root. */
static struct node *nodes;
static size_t node_count = 1, node_capacity;
/* Open addressing over (parent, name); 0 is an empty place. */
static uint32_t *table;
static size_t table_mask;
static const char *source;

static void die(const char *what) {
  fprintf(stderr, "libfuse: %s: %s\n", what, strerror(errno));
  exit(1);
}

static size_t hash_of(fuse_ino_t parent, const char *name) {
  uint64_t hash = 0xcbf29ce484222325u ^ (parent * 0x9e3779b97f4a7c15u);
  for (; *name != '\0'; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
  return (size_t)(hash ^ (hash >> 29));
}

static fuse_ino_t find(fuse_ino_t parent, const char *name) {
  for (size_t i = hash_of(parent, name) & table_mask; table[i] != 0; i = (i + 1) & table_mask) {
    const struct node *node = &nodes[table[i]];
    if (node->parent == parent && strcmp(node->name, name) == 0) return table[i];
  }
  return 0;
}

static fuse_ino_t add_node(fuse_ino_t parent, const char *name, const struct stat *attributes) {
  if (node_count >= node_capacity) {
    node_capacity = node_capacity == 0 ? 4096 : node_capacity * 2;
    nodes = realloc(nodes, node_capacity * sizeof *nodes);
    if (nodes == NULL) die("memory");
  }
  struct node *node = &nodes[node_count];
  *node = (struct node){.name = strdup(name), .parent = parent, .attributes = *attributes};
  if (node->name == NULL) die("memory");
  node->attributes.st_ino = node_count;
  return node_count++;
}

/* 0 where it does not fit. */
static int path_of(fuse_ino_t ino, char *path, size_t room) {
  size_t at = room;
  path[--at] = '\0';
  for (; ino != FUSE_ROOT_ID; ino = nodes[ino].parent) {
    size_t length = strlen(nodes[ino].name);
    if (at < length + 1) return 0;
    memcpy(path + (at -= length), nodes[ino].name, length);
    path[--at] = '/';
  }
  size_t length = strlen(source);
  if (at < length) return 0;
  memcpy(path + (at -= length), source, length);
  memmove(path, path + at, room - at);
  return 1;
}

static void read_directory(fuse_ino_t ino) {
  char path[PATH_MAX];
  struct dirent *entry;
  struct stat attributes;
  if (!path_of(ino, path, sizeof path)) die("a path is too long");
  DIR *directory = opendir(path);
  if (directory == NULL) die(path);
  nodes[ino].first_child = node_count;
  while ((entry = readdir(directory)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (fstatat(dirfd(directory), entry->d_name, &attributes, AT_SYMLINK_NOFOLLOW) != 0)
      die(entry->d_name);
    add_node(ino, entry->d_name, &attributes);
  }
  nodes[ino].child_count = node_count - nodes[ino].first_child;
  closedir(directory);
}

static void read_tree(void) {
  struct stat attributes;
  if (stat(source, &attributes) != 0) die(source);
  add_node(FUSE_ROOT_ID, "", &attributes);
  for (size_t ino = FUSE_ROOT_ID; ino < node_count; ino++)
    if (S_ISDIR(nodes[ino].attributes.st_mode)) read_directory(ino);
  size_t size = 1024;
  while (size < node_count * 2) size *= 2;
  table = calloc(size, sizeof *table);
  if (table == NULL || node_count > UINT32_MAX) die("memory");
  table_mask = size - 1;
  for (size_t ino = FUSE_ROOT_ID + 1; ino < node_count; ino++) {
    size_t place = hash_of(nodes[ino].parent, nodes[ino].name) & table_mask;
    while (table[place] != 0) place = (place + 1) & table_mask;
    table[place] = (uint32_t)ino;
  }
}

static struct fuse_entry_param entry_of(fuse_ino_t ino) {
  return (struct fuse_entry_param){.ino = ino,
                                   .attr = nodes[ino].attributes,
                                   .attr_timeout = TIMEOUT_SECONDS,
                                   .entry_timeout = TIMEOUT_SECONDS};
}

static void on_lookup(fuse_req_t request, fuse_ino_t parent, const char *name) {
  fuse_ino_t ino = find(parent, name);
  if (ino == 0) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  struct fuse_entry_param entry = entry_of(ino);
  fuse_reply_entry(request, &entry);
}

/* Nodes live as long as the server: nothing is counted. */
static void on_forget(fuse_req_t request, fuse_ino_t ino, uint64_t count) {
  (void)ino;
  (void)count;
  fuse_reply_none(request);
}

static void on_getattr(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info) {
  (void)info;
  fuse_reply_attr(request, &nodes[ino].attributes, TIMEOUT_SECONDS);
}

static void on_open(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info) {
  char path[PATH_MAX];
  if ((info->flags & O_ACCMODE) != O_RDONLY) {
    fuse_reply_err(request, EROFS);
    return;
  }
  int fd = path_of(ino, path, sizeof path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) {
    fuse_reply_err(request, errno);
    return;
  }
  info->fh = (uint64_t)fd;
  info->keep_cache = 1;
  fuse_reply_open(request, info);
}

static void on_read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *info) {
  (void)ino;
  struct fuse_bufvec bytes = FUSE_BUFVEC_INIT(size);
  bytes.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
  bytes.buf[0].fd = (int)info->fh;
  bytes.buf[0].pos = offset;
  fuse_reply_data(request, &bytes, FUSE_BUF_SPLICE_MOVE);
}

static void on_release(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info) {
  (void)ino;
  fuse_reply_err(request, close((int)info->fh) == 0 ? 0 : errno);
}

/* Offset n is after the entry with index n - 1; the kernel does without `.` and `..`. */
static void list(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset, int with_entries) {
  const struct node *directory = &nodes[ino];
  char *buffer = malloc(size);
  size_t used = 0;
  if (buffer == NULL) {
    fuse_reply_err(request, ENOMEM);
    return;
  }
  for (size_t i = (size_t)offset; i < directory->child_count; i++) {
    fuse_ino_t child = directory->first_child + i;
    struct fuse_entry_param entry = entry_of(child);
    size_t length =
        with_entries
            ? fuse_add_direntry_plus(request, buffer + used, size - used, nodes[child].name, &entry,
                                     (off_t)i + 1)
            : fuse_add_direntry(request, buffer + used, size - used, nodes[child].name, &entry.attr,
                                (off_t)i + 1);
    if (length > size - used) break;
    used += length;
  }
  fuse_reply_buf(request, buffer, used);
  free(buffer);
}

static void on_readdir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *info) {
  (void)info;
  list(request, ino, size, offset, 0);
}

static void on_readdirplus(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
                           struct fuse_file_info *info) {
  (void)info;
  list(request, ino, size, offset, 1);
}

static const struct fuse_lowlevel_ops operations = {
    .lookup = on_lookup,
    .forget = on_forget,
    .getattr = on_getattr,
    .open = on_open,
    .read = on_read,
    .release = on_release,
    .readdir = on_readdir,
    .readdirplus = on_readdirplus,
};

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "libfuse: see the head of libfuse.c\n");
    return 2;
  }
  source = argv[1];
  read_tree();
  char *words[] = {argv[0], "-o", "ro,fsname=libfuse"};
  struct fuse_args args = FUSE_ARGS_INIT(3, words);
  struct fuse_session *session = fuse_session_new(&args, &operations, sizeof operations, NULL);
  if (session == NULL) return 1;
  if (fuse_set_signal_handlers(session) != 0 || fuse_session_mount(session, argv[2]) != 0) return 1;
  struct fuse_loop_config *config = fuse_loop_cfg_create();
  int code = fuse_session_loop_mt(session, config);
  fuse_loop_cfg_destroy(config);
  fuse_session_unmount(session);
  fuse_remove_signal_handlers(session);
  fuse_session_destroy(session);
  return code == 0 ? 0 : 1;
}
