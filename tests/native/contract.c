/* Holds a generated program to its header: contract INPUT_FILE... OUTPUT_FILE... Every failed check has an exit code. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "@NAME@.h"

static const size_t input_bytes[] = {@INPUT_BYTES@}, output_bytes[] = {@OUTPUT_BYTES@};
enum { INPUTS = sizeof input_bytes / sizeof *input_bytes, OUTPUTS = sizeof output_bytes / sizeof *output_bytes };
extern const unsigned char @NAME@_weights[];

static void need(int right, int code) {
    if (!right) exit(code);
}

static void *taken(size_t bytes, size_t alignment) {
    void *at = NULL;
    need(posix_memalign(&at, alignment, bytes == 0 ? 1 : bytes) == 0, 90);
    memset(at, 0xa5, bytes); /* what lies in memory must not matter */
    return at;
}

static void refusals(void) {
    @NAME@_state state;
    const size_t bytes = @NAME@_arena_bytes(1);
    unsigned char *arena = taken(bytes + 64, 64), *weights = taken(@UPPER@_WEIGHTS_BYTES + 64, 64);
    need(bytes == @UPPER@_ARENA_BYTES, 10);
    need(@NAME@_arena_bytes(0) == 0 && @NAME@_arena_bytes(@UPPER@_MAX_THREADS + 1) == 0, 11);
    need(@NAME@_init(NULL, arena, NULL, 1) == SHOESTRING_BAD_ARGUMENT, 12);
    need(@NAME@_init(&state, NULL, NULL, 1) == SHOESTRING_BAD_ARGUMENT, 13);
    need(@NAME@_init(&state, arena, NULL, 0) == SHOESTRING_BAD_ARGUMENT, 14);
    need(@NAME@_init(&state, arena, NULL, @UPPER@_MAX_THREADS + 1) == SHOESTRING_BAD_ARGUMENT, 15);
    need(@NAME@_init(&state, arena + 16, NULL, 1) == SHOESTRING_MISALIGNED, 16);
    memcpy(weights, @NAME@_weights, @UPPER@_WEIGHTS_BYTES);
    need(@NAME@_init(&state, arena, weights, 1) == SHOESTRING_OK, 17);
    @NAME@_close(&state);
    need(@NAME@_init(&state, arena, weights + 1, 1) == SHOESTRING_MISALIGNED, 18);
    for (int i = 0; i < 56; i++) { /* magic, byte order, length, identity: each byte but the four of padding counts */
        if (i >= 12 && i < 16) continue;
        weights[i] ^= 1;
        need(@NAME@_init(&state, arena, weights, 1) == SHOESTRING_BAD_WEIGHTS, 19);
        weights[i] ^= 1;
    }
    need(@NAME@_init(&state, arena, NULL, 1) == SHOESTRING_OK, 20);
    const void *inputs[INPUTS];
    void *outputs[OUTPUTS];
    need(@NAME@_invoke(NULL, inputs, outputs) == SHOESTRING_BAD_ARGUMENT, 21);
    need(@NAME@_invoke(&state, NULL, outputs) == SHOESTRING_BAD_ARGUMENT, 22);
    need(@NAME@_invoke(&state, inputs, NULL) == SHOESTRING_BAD_ARGUMENT, 23);
    @NAME@_close(&state);
    free(arena);
    free(weights);
}

static void run(@NAME@_state *state, void **inputs, void **outputs) {
    for (int i = 0; i < OUTPUTS; i++) memset(outputs[i], 0x5a, output_bytes[i]);
    need(@NAME@_invoke(state, (const void *const *)inputs, outputs) == SHOESTRING_OK, 30);
}

static int same(void **a, void **b) {
    for (int i = 0; i < OUTPUTS; i++)
        if (memcmp(a[i], b[i], output_bytes[i]) != 0) return 0;
    return 1;
}

int main(int count, char **words) {
    need(count == 1 + INPUTS + OUTPUTS, 91);
    refusals();
    void *inputs[INPUTS], *zeros[INPUTS], *first[OUTPUTS], *other[OUTPUTS], *again[OUTPUTS];
    for (int i = 0; i < INPUTS; i++) {
        inputs[i] = taken(input_bytes[i], 64);
        zeros[i] = taken(input_bytes[i], 64);
        memset(zeros[i], 0, input_bytes[i]);
        FILE *file = fopen(words[1 + i], "rb");
        need(file != NULL && fread(inputs[i], 1, input_bytes[i], file) == input_bytes[i] && fclose(file) == 0, 92);
    }
    for (int i = 0; i < OUTPUTS; i++) {
        first[i] = taken(output_bytes[i], 64);
        other[i] = taken(output_bytes[i], 64);
        again[i] = taken(output_bytes[i], 64);
    }
    @NAME@_state a, b;
    void *arena_a = taken(@NAME@_arena_bytes(1), 64), *arena_b = taken(@NAME@_arena_bytes(1), 64);
    need(@NAME@_init(&a, arena_a, NULL, 1) == SHOESTRING_OK && @NAME@_init(&b, arena_b, NULL, 1) == SHOESTRING_OK, 31);
    run(&a, inputs, first);
    run(&b, zeros, other);
    run(&a, inputs, again);
    need(same(first, again), 32);
    run(&b, zeros, again);
    need(same(other, again), 33);
    run(&b, inputs, again);
    need(same(first, again), 34);
    @NAME@_close(&a);
    @NAME@_close(&b);
    free(arena_a);
    free(arena_b);
    for (int round = 0; round < 50 && @UPPER@_MAX_THREADS > 1; round++) {
        void *arena = taken(@NAME@_arena_bytes(2), 64);
        need(@NAME@_init(&a, arena, NULL, 2) == SHOESTRING_OK, 40);
        for (int i = 0; i < (round == 0 ? 20 : round % 2); i++) { /* a program may also be closed before it ever ran */
            run(&a, inputs, again);
            need(same(first, again), 41);
        }
        @NAME@_close(&a);
        free(arena);
    }
    for (int i = 0; i < OUTPUTS; i++) {
        FILE *file = fopen(words[1 + INPUTS + i], "wb");
        need(file != NULL && fwrite(first[i], 1, output_bytes[i], file) == output_bytes[i] && fclose(file) == 0, 93);
        free(first[i]);
        free(other[i]);
        free(again[i]);
    }
    for (int i = 0; i < INPUTS; i++) {
        free(inputs[i]);
        free(zeros[i]);
    }
    return 0;
}
