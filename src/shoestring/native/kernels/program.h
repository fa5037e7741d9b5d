/* How a compiled program presents itself to whoever loads it. ABI 1.
 *
 * A library exports one symbol, `shoestring_program`. It answers NULL when this processor lacks the instruction sets
 * that the library was built for. The caller owns all memory: it brings the state (state_bytes, any alignment of
 * max_align_t), the arena (arena_bytes(threads), aligned to 64) and, when `weights` is NULL, the weights (weights_bytes,
 * aligned to 64, usually a mapped file). A program holds no variable data of its own, so any number of states may be
 * used at once, each by one caller at a time.
 */
#ifndef SHOESTRING_PROGRAM_H
#define SHOESTRING_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#define SHOESTRING_ABI 1u

enum {
    SHOESTRING_OK = 0,
    SHOESTRING_BAD_ARGUMENT = 1, /* a null pointer, or a thread count outside 1..max_threads */
    SHOESTRING_BAD_WEIGHTS = 2,  /* the weights are not those of this program, or of another byte order */
    SHOESTRING_MISALIGNED = 3,   /* arena or weights are not aligned to 64 bytes */
    SHOESTRING_NO_THREADS = 4    /* the system refused to start a thread */
};

typedef struct shoestring_program_t {
    uint32_t abi;
    uint32_t max_threads;
    const char *about; /* JSON: name, compiler, target, source_sha256, inputs, outputs (name, dtype, shape) */
    size_t state_bytes;
    size_t weights_bytes;
    const unsigned char *weights; /* built in, or NULL */
    size_t (*arena_bytes)(uint32_t threads);
    int (*init)(void *state, void *arena, const void *weights, uint32_t threads);
    int (*invoke)(void *state, const void *const *inputs, void *const *outputs);
    void (*close)(void *state); /* ends the threads; a state that was never initialised must not be given */
} shoestring_program_t;

const shoestring_program_t *shoestring_program(void);

#endif
