/* Runs a program from the command line: NAME_run [--repeat N] [--threads N] INPUT... OUTPUT...
 * Files hold the arrays as they lie in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "@NAME@.h"

static _Alignas(64) unsigned char arena[@RUNNER_ARENA@];
@BUFFERS@
static const size_t input_bytes[] = {@INPUT_BYTES@}, output_bytes[] = {@OUTPUT_BYTES@};
static void *const input_arrays[] = {@INPUT_ARRAYS@}, *const output_arrays[] = {@OUTPUT_ARRAYS@};

static int fail(const char *what, const char *which) {
    fprintf(stderr, "@NAME@_run: %s %s\n", what, which);
    return 1;
}

static int read_whole(const char *path, void *array, size_t bytes) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return fail("cannot open", path);
    const size_t got = fread(array, 1, bytes, file);
    const int more = fgetc(file);
    fclose(file);
    if (got == bytes && more == EOF) return 0;
    fprintf(stderr, "@NAME@_run: %s must hold exactly %zu bytes\n", path, bytes);
    return 1;
}

static int write_whole(const char *path, const void *array, size_t bytes) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) return fail("cannot write", path);
    const size_t put = fwrite(array, 1, bytes, file);
    return fclose(file) != 0 || put != bytes ? fail("cannot write", path) : 0;
}

static double now_ms(void) {
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static unsigned long number(const char *text) {
    char *end;
    const unsigned long n = strtoul(text, &end, 10);
    return *end == '\0' ? n : 0;
}

int main(int count, char **words) {
    const size_t inputs = sizeof input_bytes / sizeof *input_bytes, outputs = sizeof output_bytes / sizeof *output_bytes;
    unsigned long repeat = 1, threads = 1;
    int at = 1;
    for (; at + 1 < count && strncmp(words[at], "--", 2) == 0; at += 2) {
        if (strcmp(words[at], "--repeat") == 0) repeat = number(words[at + 1]);
        else if (strcmp(words[at], "--threads") == 0) threads = number(words[at + 1]);
        else return fail("does not know", words[at]);
    }
    if ((size_t)(count - at) != inputs + outputs || repeat == 0) {
        fprintf(stderr, "usage: @NAME@_run [--repeat N] [--threads 1..%u] %zu input files, %zu output files\n",
                @UPPER@_MAX_THREADS, inputs, outputs);
        return 2;
    }
    for (size_t i = 0; i < inputs; i++)
        if (read_whole(words[at + (int)i], input_arrays[i], input_bytes[i]) != 0) return 1;
    static @NAME@_state state;
    const int started = @NAME@_init(&state, arena, NULL, (uint32_t)threads);
    if (started != SHOESTRING_OK) {
        fprintf(stderr, "@NAME@_run: init answers %d\n", started);
        return 1;
    }
    double least = 0;
    for (unsigned long i = 0; i < repeat; i++) {
        const double before = now_ms();
        if (@NAME@_invoke(&state, (const void *const *)input_arrays, output_arrays) != SHOESTRING_OK) return 1;
        const double took = now_ms() - before;
        least = i == 0 || took < least ? took : least;
    }
    @NAME@_close(&state);
    for (size_t i = 0; i < outputs; i++)
        if (write_whole(words[at + (int)(inputs + i)], output_arrays[i], output_bytes[i]) != 0) return 1;
    if (repeat > 1) printf("%lu inferences, the fastest in %.4f ms\n", repeat, least);
    return 0;
}
