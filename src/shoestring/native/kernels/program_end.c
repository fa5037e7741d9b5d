/* --- the program's face ------------------------------------------------------------------------------------------- */

typedef struct {
    char *arena;
    const char *weights;
    uint32_t threads;
    ss_threads pool;
} ss_state;

_Static_assert(sizeof(ss_state) <= @UPPER@_STATE_BYTES, "the state must fit the header's size");

#ifdef SHOESTRING_WEIGHTS_LINKED
extern const unsigned char @NAME@_weights[];
#define SS_LINKED_WEIGHTS @NAME@_weights
#else
#define SS_LINKED_WEIGHTS NULL
#endif

static char *ss_scratch(const ss_state *s, uint32_t thread) {
    return s->arena + @ARENA@ + (size_t)thread * @SCRATCH@u;
}

size_t @NAME@_arena_bytes(uint32_t threads) {
    return threads >= 1 && threads <= SS_THREADS ? @ARENA@u + (size_t)threads * @SCRATCH@u : 0;
}

/* The blob's header: a magic word, a number that tells the byte order, the length, and the program's identity. */
static bool ss_weights_fit(const char *weights) {
    static const unsigned char identity[32] = {@IDENTITY@};
    uint32_t order;
    uint64_t length;
    memcpy(&order, weights + 8, sizeof order);
    memcpy(&length, weights + 16, sizeof length);
    return memcmp(weights, "SHOEWT01", 8) == 0 && order == 0x01020304u && length == @WEIGHTS_BYTES@u &&
           memcmp(weights + 24, identity, sizeof identity) == 0;
}

#if SS_THREADS > 1
static void *ss_helper(void *argument) {
    const ss_seat *seat = argument;
    ss_threads *pool = seat->pool;
    uint64_t done = 0;
    for (;;) {
        pthread_mutex_lock(&pool->mutex);
        while (pool->round == done && !pool->ending) pthread_cond_wait(&pool->wake, &pool->mutex);
        const bool ending = pool->ending;
        done = pool->round;
        const ss_frame *frame = pool->frame;
        pthread_mutex_unlock(&pool->mutex);
        if (ending) return NULL;
        ss_run(frame, pool->scratch + (size_t)seat->number * @SCRATCH@u, pool, seat->number, pool->count);
        ss_meet(pool, pool->count);
    }
}

static void ss_end_threads(ss_threads *pool, uint32_t started) {
    pthread_mutex_lock(&pool->mutex);
    pool->ending = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    for (uint32_t i = 1; i < started; i++) pthread_join(pool->helpers[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
}

static int ss_start_threads(ss_state *s) {
    ss_threads *pool = &s->pool;
    memset(pool, 0, sizeof *pool);
    pool->count = s->threads;
    pool->scratch = ss_scratch(s, 0);
    atomic_init(&pool->arrived, 0);
    atomic_init(&pool->phase, 0);
    if (pthread_mutex_init(&pool->mutex, NULL) != 0) return SHOESTRING_NO_THREADS;
    if (pthread_cond_init(&pool->wake, NULL) != 0) return SHOESTRING_NO_THREADS;
    for (uint32_t i = 1; i < s->threads; i++) {
        pool->seats[i] = (ss_seat){pool, i};
        if (pthread_create(&pool->helpers[i], NULL, ss_helper, &pool->seats[i]) != 0) {
            ss_end_threads(pool, i);
            return SHOESTRING_NO_THREADS;
        }
    }
    return SHOESTRING_OK;
}
#endif

int @NAME@_init(void *state, void *arena, const void *weights, uint32_t threads) {
    ss_state *s = state;
    const char *found = weights != NULL ? weights : (const char *)SS_LINKED_WEIGHTS;
    if (s == NULL || arena == NULL || found == NULL || threads < 1 || threads > SS_THREADS) return SHOESTRING_BAD_ARGUMENT;
    if ((uintptr_t)arena % 64 != 0 || (uintptr_t)found % 64 != 0) return SHOESTRING_MISALIGNED;
    if (!ss_weights_fit(found)) return SHOESTRING_BAD_WEIGHTS;
    s->arena = arena;
    s->weights = found;
    s->threads = threads;
#if SS_THREADS > 1
    if (threads > 1) return ss_start_threads(s);
#endif
    return SHOESTRING_OK;
}

int @NAME@_invoke(void *state, const void *const *inputs, void *const *outputs) {
    ss_state *s = state;
    if (s == NULL || inputs == NULL || outputs == NULL) return SHOESTRING_BAD_ARGUMENT;
    const ss_frame frame = {s->arena, s->weights, inputs, outputs};
#if SS_THREADS > 1
    if (s->threads > 1) {
        pthread_mutex_lock(&s->pool.mutex);
        s->pool.frame = &frame;
        s->pool.round++;
        pthread_cond_broadcast(&s->pool.wake);
        pthread_mutex_unlock(&s->pool.mutex);
        ss_run(&frame, ss_scratch(s, 0), &s->pool, 0, s->threads);
        ss_meet(&s->pool, s->threads); /* the frame lives until all have left it */
        return SHOESTRING_OK;
    }
#endif
    ss_run(&frame, ss_scratch(s, 0), &s->pool, 0, 1);
    return SHOESTRING_OK;
}

void @NAME@_close(void *state) {
    ss_state *s = state;
#if SS_THREADS > 1
    if (s != NULL && s->threads > 1) ss_end_threads(&s->pool, s->threads);
#endif
    if (s != NULL) s->threads = 1;
}

#ifndef SHOESTRING_NO_PROGRAM
const shoestring_program_t @NAME@_program = {
    SHOESTRING_ABI, SS_THREADS, @ABOUT@, sizeof(ss_state), @WEIGHTS_BYTES@u,
#ifdef SHOESTRING_WEIGHTS_LINKED
    @NAME@_weights,
#else
    NULL,
#endif
    @NAME@_arena_bytes, @NAME@_init, @NAME@_invoke, @NAME@_close};
#endif
