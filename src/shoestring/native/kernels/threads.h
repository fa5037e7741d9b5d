/* A few threads that run the same steps and meet between them. They sleep between inferences and spin within one. */
#if SS_THREADS > 1
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

typedef struct ss_threads ss_threads;
typedef struct {
    ss_threads *pool;
    uint32_t number;
} ss_seat;

struct ss_threads {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t helpers[SS_THREADS];
    ss_seat seats[SS_THREADS];
    const ss_frame *frame;
    char *scratch;
    uint64_t round; /* of inferences, guarded by the mutex */
    bool ending;
    uint32_t count;
    atomic_uint arrived, phase;
};

#define SS_SPINS 2000 /* then the processor is offered to others: there may be fewer cores than threads */
SS_USED void ss_meet(ss_threads *pool, uint32_t threads) {
    if (threads == 1) return;
    const unsigned phase = atomic_load_explicit(&pool->phase, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel) + 1 == threads) {
        atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&pool->phase, phase + 1, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&pool->phase, memory_order_acquire) == phase; spins++)
        if (spins > SS_SPINS) sched_yield();
}
#define SS_BARRIER ss_meet(pool, threads)
#else
typedef struct {
    uint32_t count;
} ss_threads;
#define SS_BARRIER (void)threads
#endif
