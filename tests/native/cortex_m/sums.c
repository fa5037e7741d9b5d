/* A program written by hand: y[i] = x[i] * 0.5f + i; z is the sum of all x, in order. */
#include "program.h"

static const _Alignas(64) float weights[16] = {0.5f};

static size_t arena_bytes(uint32_t threads) { return 64u * threads; }

static int init(void *state, void *arena, const void *given, uint32_t threads) {
    (void)arena, (void)threads;
    *(const float **)state = given;
    return SHOESTRING_OK;
}

static int invoke(void *state, const void *const *inputs, void *const *outputs) {
    const float *x = inputs[0], half = **(const float **)state;
    float *y = outputs[0], *z = outputs[1];
    *z = 0.0f;
    for (int32_t i = 0; i < 100; i++) {
        y[i] = x[i] * half + (float)i;
        *z += x[i];
    }
#ifdef FAILS
    return SHOESTRING_NO_THREADS;
#endif
    return SHOESTRING_OK;
}

static void done(void *state) { (void)state; }

static const shoestring_program_t program = {
    SHOESTRING_ABI, 1, "{}", sizeof(float *), sizeof weights, (const unsigned char *)weights, arena_bytes, init, invoke, done,
};

const shoestring_program_t *shoestring_program(void) { return &program; }
