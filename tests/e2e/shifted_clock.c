/* Preloaded into a process: its clock on the wall differs by CLOCK_SHIFT_SECONDS, or by what stands
   in CLOCK_SHIFT_FILE at that moment (a long); what it measures time with does not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long *shared(void) {
    static volatile long *mapped;
    static int looked;
    const char *path = looked ? NULL : getenv("CLOCK_SHIFT_FILE");
    if (path) {
        int file = open(path, O_RDONLY);
        void *memory = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
        if (memory != MAP_FAILED) mapped = memory;
        if (file >= 0) close(file);
    }
    looked = 1;
    return mapped;
}

static time_t shift(void) {
    if (shared()) return *shared();
    const char *text = getenv("CLOCK_SHIFT_SECONDS");
    return text ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    (void)zone;
    int failed = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *where) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (where) *where = exact.tv_sec;
    return exact.tv_sec;
}
