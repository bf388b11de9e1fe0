/* Preloaded into the processes of a node: moves the wall clock that Python reads.
 *
 * How far, a shared file says at each call, which counts the calls, too. Only calls out of the
 * interpreter itself are moved: libraries wait until instants of this clock in the kernel, which
 * knows nothing of it. The monotonic clocks stay what they are.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define MILLION 1000000LL

struct moved {
    volatile int64_t offset_ns;
    volatile int64_t drift_ppm;
    volatile int64_t since_ns;
    volatile int64_t reads;
    volatile int64_t told_off_by_ns;
};

static struct moved *moved;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("MOLECULE_CHAOS_CLOCK");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *at = mmap(NULL, sizeof *moved, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (at != MAP_FAILED)
        moved = at;
}

static int is_python(const void *caller)
{
    Dl_info found;
    if (!dladdr(caller, &found) || !found.dli_fname)
        return 0;
    const char *slash = strrchr(found.dli_fname, '/');
    const char *name = slash ? slash + 1 : found.dli_fname;
    return !strncmp(name, "python", 6) || !strncmp(name, "libpython", 9);
}

static int64_t told(int64_t real_ns, const void *caller)
{
    if (!moved || !is_python(caller))
        return real_ns;
    int64_t off = moved->offset_ns;
    if (moved->drift_ppm)
        off += (int64_t)((__int128)(real_ns - moved->since_ns) * moved->drift_ppm / MILLION);
    if (off) {
        __atomic_add_fetch(&moved->reads, 1, __ATOMIC_RELAXED);
        moved->told_off_by_ns = off;
    }
    return real_ns + off;
}

static int64_t now(void)
{
    struct timespec at;
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &at);
    return at.tv_sec * SECOND + at.tv_nsec;
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(clock, at);
    if (done == 0 && clock == CLOCK_REALTIME) {
        int64_t ns = told(at->tv_sec * SECOND + at->tv_nsec, __builtin_return_address(0));
        at->tv_sec = ns / SECOND;
        at->tv_nsec = ns % SECOND;
    }
    return done;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    (void)zone;
    int64_t ns = told(now(), __builtin_return_address(0));
    at->tv_sec = ns / SECOND;
    at->tv_usec = ns % SECOND / 1000;
    return 0;
}

time_t time(time_t *at)
{
    time_t seconds = told(now(), __builtin_return_address(0)) / SECOND;
    if (at)
        *at = seconds;
    return seconds;
}
