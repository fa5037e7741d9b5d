/* Measures what a processor can do at most: memory copied, and products with the vectors that our kernels use. A library
 * with one function, `shoestring_meter`. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define STEPS 2000 /* between two looks at the clock */
#define MOST_THREADS 256

typedef double (*work)(int thread);

static char *from, *to;
static size_t block;
static int threads_now;
static double window_s;
static atomic_int ready, go;
static volatile float float_sink[MOST_THREADS];
static volatile int32_t integer_sink[MOST_THREADS];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double copy(int thread) {
    const size_t share = block / (size_t)threads_now;
    memcpy(to + share * (size_t)thread, from + share * (size_t)thread, share);
    __asm__ volatile("" ::: "memory");
    return (double)share;
}

/* One step is one of our kernels: NR vectors of weights, each product with one tap of MR pixels. Weights and taps are read
 * anew in every step, so that no product can be kept from the step before. */
enum { NR = SS_MAX_VECTORS, MR = SS_PIXELS(SS_MAX_VECTORS) };
static _Alignas(64) float float_weights[NR * SS_LANES], float_taps[MR];
static _Alignas(64) int8_t weights[NR * 4 * SS_LANES];
static ss_code taps[MR * 4];

static double fp32(int thread) {
    float store[SS_LANES] = {0};
    ss_f32 sums[MR][NR];
    for (int i = 0; i < MR; i++)
        for (int j = 0; j < NR; j++) sums[i][j] = ss_set_f32(1e-3f * (float)(i * NR + j));
    for (int step = 0; step < STEPS; step++) {
        ss_f32 w[NR];
        __asm__ volatile("" ::: "memory");
        SS_UNROLL for (int j = 0; j < NR; j++) w[j] = ss_load_f32(float_weights + j * SS_LANES);
        SS_UNROLL for (int i = 0; i < MR; i++) {
            const ss_f32 a = ss_set_f32(float_taps[i]);
            SS_UNROLL for (int j = 0; j < NR; j++) sums[i][j] = ss_mul_add(sums[i][j], a, w[j]);
        }
    }
    float total = 0;
    for (int i = 0; i < MR; i++)
        for (int j = 0; j < NR; j++) {
            ss_store_f32(store, sums[i][j]);
            for (int e = 0; e < SS_LANES; e++) total += store[e];
        }
    float_sink[thread] = total;
    return 2.0 * SS_LANES * MR * NR * STEPS;
}

static double int8(int thread) {
    int32_t store[SS_LANES] = {0};
    ss_i32 sums[MR][NR];
    for (int i = 0; i < MR; i++)
        for (int j = 0; j < NR; j++) {
            store[0] = i * NR + j;
            sums[i][j] = ss_load_i32(store);
        }
    for (int step = 0; step < STEPS; step++) {
        ss_weights w[NR];
        __asm__ volatile("" ::: "memory");
        SS_UNROLL for (int j = 0; j < NR; j++) w[j] = ss_load_weights(weights + j * 4 * SS_LANES);
        SS_UNROLL for (int i = 0; i < MR; i++) {
            const ss_taps a = ss_load_taps(taps + 4 * i);
            SS_UNROLL for (int j = 0; j < NR; j++) sums[i][j] = ss_dot(sums[i][j], a, w[j]);
        }
    }
    int32_t total = 0;
    for (int i = 0; i < MR; i++)
        for (int j = 0; j < NR; j++) {
            memcpy(store, &sums[i][j], sizeof store);
            for (int e = 0; e < SS_LANES; e++) total ^= store[e];
        }
    integer_sink[thread] = total;
    return 2.0 * 4 * SS_LANES * MR * NR * STEPS;
}

/* A chain of sums, each of which waits for the one before: a cycle each on every processor that we know. */
static double cycles(int thread) {
    uint32_t x = 0;
    for (int step = 0; step < STEPS; step++) {
        SS_UNROLL for (int i = 0; i < 16; i++) {
            x += 3;
            __asm__ volatile("" : "+r"(x));
        }
    }
    integer_sink[thread] = (int32_t)x;
    return 16.0 * STEPS;
}

#if SS_HALF
#if defined(__clang__)
#define SS_HALF_CODE __attribute__((target("fullfp16"), noinline))
#else
#define SS_HALF_CODE __attribute__((target("arch=armv8.2-a+fp16"), noinline))
#endif
typedef _Float16 half_vector __attribute__((vector_size(16)));
enum { HALF_MR = 6, HALF_NR = 4 };
SS_HALF_CODE static double fp16(int thread) {
    half_vector sums[HALF_MR][HALF_NR], a[HALF_MR], w[HALF_NR];
    for (int i = 0; i < HALF_MR; i++) a[i] = (half_vector){0} + (_Float16)(0.001f * (float)i);
    for (int j = 0; j < HALF_NR; j++) w[j] = (half_vector){0} + (_Float16)(0.001f * (float)j);
    for (int i = 0; i < HALF_MR; i++)
        for (int j = 0; j < HALF_NR; j++) sums[i][j] = a[i] + w[j];
    for (int step = 0; step < STEPS; step++) {
        SS_UNROLL for (int j = 0; j < HALF_NR; j++) __asm__ volatile("" : "+w"(w[j]));
        SS_UNROLL for (int i = 0; i < HALF_MR; i++) {
            /* volatile: a product made before this line cannot be used after it */
            __asm__ volatile("" : "+w"(a[i % 2]));
            SS_UNROLL for (int j = 0; j < HALF_NR; j++) sums[i][j] += a[i % 2] * w[j];
        }
    }
    float total = 0;
    for (int i = 0; i < HALF_MR; i++)
        for (int j = 0; j < HALF_NR; j++) total += (float)sums[i][j][0];
    float_sink[thread] = total;
    return 2.0 * 8 * HALF_MR * HALF_NR * STEPS;
}
#endif

static work kind;
typedef struct {
    int number;
    double done, until;
} worker;

static void *run(void *argument) {
    worker *me = argument;
    kind(me->number); /* touches the pages, wakes the vector units */
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&go)) {
    }
    const double start = now();
    do me->done += kind(me->number);
    while ((me->until = now()) - start < window_s);
    return NULL;
}

/* Work a second of one window; below zero where a thread cannot be started. */
static double window(void) {
    pthread_t ids[MOST_THREADS];
    worker workers[MOST_THREADS] = {{0, 0, 0}};
    int started = 0;
    atomic_store(&ready, 0);
    atomic_store(&go, 0);
    for (; started < threads_now; started++) {
        workers[started].number = started;
        if (pthread_create(&ids[started], NULL, run, &workers[started]) != 0) break;
    }
    while (atomic_load(&ready) < started) nanosleep(&(struct timespec){0, 100000}, NULL);
    const double start = now();
    atomic_store(&go, 1);
    double done = 0, end = start;
    for (int i = 0; i < started; i++) {
        pthread_join(ids[i], NULL);
        done += workers[i].done;
        if (workers[i].until > end) end = workers[i].until;
    }
    return started < threads_now ? -1 : done / (end - start);
}

/* The best of `windows` windows. `what`: 0 bytes copied a second; cycles a second in 1;
 * operations a second in 2 fp32, 3 int8, 4 fp16. Below
 * zero: no memory, no threads, or no such arithmetic. */
__attribute__((visibility("default"))) double shoestring_meter(int what, int threads, uint64_t bytes, double ms,
                                                               int windows) {
    static const work kinds[] = {
        copy, cycles, fp32, int8,
#if SS_HALF
        fp16,
#endif
    };
    if (what < 0 || (size_t)what >= sizeof kinds / sizeof *kinds || threads < 1 || threads > MOST_THREADS) return -1;
    kind = kinds[what], threads_now = threads, block = (size_t)bytes, window_s = ms / 1000;
    for (int i = 0; i < NR * SS_LANES; i++) float_weights[i] = 1e-3f * (float)(i % 7);
    for (int i = 0; i < NR * 4 * SS_LANES; i++) weights[i] = (int8_t)(i % 5 - 2);
    for (int i = 0; i < MR; i++) float_taps[i] = 1e-3f * (float)i;
    for (int i = 0; i < MR * 4; i++) taps[i] = (ss_code)(i % 9);
    double best = -1;
    from = malloc(block), to = malloc(block);
    if (from != NULL && to != NULL) {
        memset(from, 1, block);
        memset(to, 2, block);
        for (int i = 0; i < windows; i++) {
            const double rate = window();
            if (rate > best) best = rate;
        }
    }
    free(from);
    free(to);
    return best;
}
