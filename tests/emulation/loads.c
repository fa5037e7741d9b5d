/* Loads a compiled library with the system's own C library, runs it once, and says which C library that was.
 *
 *     loads LIBRARY INPUT OUTPUT OUTPUT_BYTES
 */
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>

#include "program.h"

static void *aligned(size_t bytes) {
    void *found = NULL;
    return posix_memalign(&found, 64, bytes + 64) == 0 ? found : NULL;
}

int main(int count, char **words) {
    if (count != 5) return 2;
    void *library = dlopen(words[1], RTLD_NOW);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 3;
    }
    const shoestring_program_t *(*entry)(void);
    *(void **)&entry = dlsym(library, "shoestring_program");
    const shoestring_program_t *program = entry == NULL ? NULL : entry();
    if (program == NULL || program->abi != SHOESTRING_ABI) return 4;
    FILE *file = fopen(words[2], "rb");
    if (file == NULL) return 5;
    fseek(file, 0, SEEK_END);
    const long bytes = ftell(file);
    rewind(file);
    void *input = aligned((size_t)bytes);
    const size_t output_bytes = (size_t)strtoul(words[4], NULL, 10);
    void *output = aligned(output_bytes), *state = aligned(program->state_bytes), *arena = aligned(program->arena_bytes(1));
    if (fread(input, 1, (size_t)bytes, file) != (size_t)bytes) return 6;
    fclose(file);
    const void *inputs[] = {input};
    void *outputs[] = {output};
    if (program->init(state, arena, program->weights, 1) != SHOESTRING_OK) return 7;
    if (program->invoke(state, inputs, outputs) != SHOESTRING_OK) return 8;
    program->close(state);
    file = fopen(words[3], "wb");
    if (file == NULL || fwrite(output, 1, output_bytes, file) != output_bytes || fclose(file) != 0) return 9;
    printf("%s\n", gnu_get_libc_version());
    return 0;
}
