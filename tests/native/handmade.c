/* A program written by hand, for tests of whoever loads compiled ones.
 *
 * By default it is the tiny model of the contract suite: y = f(a) over a free batch, z = g(b). With COLOURS it is a
 * classifier of the small task: its logits are the means of the blue, green and red channel. Other macros break it. */
#include <stdint.h>
#include <string.h>

#include "program.h"

#ifndef ABI
#define ABI SHOESTRING_ABI
#endif
#ifndef MAX_THREADS
#define MAX_THREADS 2
#endif
#ifndef INIT_CODE
#define INIT_CODE SHOESTRING_OK
#endif

#define HEAD \
    "{\"abi\":1,\"name\":\"handmade\",\"compiler\":\"shoestring 0.1.0\",\"target\":\"imaginary-64\",\"isa\":[\"quantum\"]," \
    "\"source_sha256\":\"00\",\"threads\":2,"
#define TAIL ",\"arena_bytes\":64,\"weights_bytes\":64}"

#ifdef COLOURS
#define PORTS \
    "\"inputs\":[{\"name\":\"image\",\"dtype\":\"float32\",\"shape\":[null,3,16,16]}]," \
    "\"outputs\":[{\"name\":\"logits\",\"dtype\":\"float32\",\"shape\":[null,3]}]"
#else
#define PORTS \
    "\"inputs\":[{\"name\":\"a\",\"dtype\":\"float32\",\"shape\":[null,3]},{\"name\":\"b\",\"dtype\":\"int64\",\"shape\":[2]}]," \
    "\"outputs\":[{\"name\":\"y\",\"dtype\":\"float32\",\"shape\":[null,4]},{\"name\":\"z\",\"dtype\":\"int64\",\"shape\":[2]}]"
#endif

#ifndef ABOUT
#define ABOUT HEAD PORTS TAIL
#endif

static const _Alignas(64) float weights[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0.5f, 0, 0, 0};

typedef struct {
    const float *weights;
    float *arena;
    uint32_t threads;
    uint32_t runs;
} state_t;

static size_t arena_bytes(uint32_t threads) { return 64u * threads; }

static int init(void *state, void *arena, const void *given, uint32_t threads) {
    state_t *s = state;
    if (!state || !arena || !given || threads < 1 || threads > MAX_THREADS) return SHOESTRING_BAD_ARGUMENT;
    if ((uintptr_t)arena % 64 || (uintptr_t)given % 64) return SHOESTRING_MISALIGNED;
    s->weights = given;
    s->arena = arena;
    s->threads = threads;
    s->runs = 0;
    return INIT_CODE;
}

static int invoke(void *state, const void *const *inputs, void *const *outputs) {
    state_t *s = state;
#ifdef FAIL_AFTER
    if (s->runs++ >= FAIL_AFTER) return SHOESTRING_NO_THREADS;
#endif
    const float *a = inputs[0];
    float *y = outputs[0];
#ifdef COLOURS
    for (int class = 0; class < 3; class++) { /* classes are blue, green, red; channels red, green, blue */
        float sum = 0;
        for (int i = 0; i < 256; i++) sum += a[(2 - class) * 256 + i];
        y[class] = sum * (s->weights[12] / 16);
    }
#else
    const int64_t *b = inputs[1];
    int64_t *z = outputs[1];
    for (int i = 0; i < 4; i++) {
        float sum = s->weights[12];
        for (int k = 0; k < 3; k++) sum += a[k] * s->weights[k * 4 + i];
        s->arena[i] = sum; /* through the arena, so that its memory has to be there */
    }
    memcpy(y, s->arena, 4 * sizeof(float));
    for (int i = 0; i < 2; i++) z[i] = -b[i];
#endif
    return SHOESTRING_OK;
}

static void close_state(void *state) { memset(state, 0xff, sizeof(state_t)); }

static const shoestring_program_t program = {
    ABI, MAX_THREADS, ABOUT, sizeof(state_t), sizeof weights,
#ifdef NO_WEIGHTS
    0,
#else
    (const unsigned char *)weights,
#endif
    arena_bytes, init, invoke, close_state,
};

#ifndef NO_PROGRAM
const shoestring_program_t *shoestring_program(void) {
#ifdef NO_PROCESSOR
    static const char *volatile kept; /* the text stays in the library although nobody reads it */
    kept = program.about;
    return 0;
#else
    return &program;
#endif
}
#else
const void *other(void) { return &program; }
#endif
