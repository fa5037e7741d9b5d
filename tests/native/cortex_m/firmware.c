/* Runs a compiled program on a bare board: reads its inputs from files, invokes it RUNS times, writes its outputs.
 * The harness defines RUNS, INPUTS, OUTPUTS (counts) and INPUT_BYTES, OUTPUT_BYTES (a list each). All memory is the
 * PSRAM; each run is given the same inputs. PROGRAM names the program's table when there is no chooser of one. */
#include <stdbool.h>

#include "program.h"
#include "semihosting.h"

extern unsigned char psram_start[], psram_end[];

#ifdef PROGRAM
extern const shoestring_program_t PROGRAM;
const shoestring_program_t *shoestring_program(void) { return &PROGRAM; }
#endif

static const size_t input_bytes[] = {INPUT_BYTES}, output_bytes[] = {OUTPUT_BYTES};
static unsigned char *free_memory = psram_start;

/* The answer is NULL when the board has too little. */
static void *take(size_t bytes) {
    unsigned char *taken = free_memory;
    const size_t rounded = (bytes + 63u) & ~(size_t)63u;
    if (rounded > (size_t)(psram_end - free_memory)) return NULL;
    free_memory += rounded;
    return taken;
}

static int refuse(const char *words) {
    say(words);
    return 2;
}

static bool whole_file(int32_t operation, char name[], unsigned number, void *data, size_t bytes) {
    name[1] = (char)('0' + number);
    const int32_t file = open_file(name, 2, operation == SYS_READ ? MODE_READ : MODE_WRITE);
    if (file < 0) return false;
    const bool whole = transfer(operation, file, data, bytes) == 0;
    close_file(file);
    return whole;
}

int main(void) {
    const shoestring_program_t *program = shoestring_program();
    if (program == NULL) return refuse("the program wants another processor\n");
    if (program->weights == NULL) return refuse("the program brings no weights\n");
    void *state = take(program->state_bytes), *arena = take(program->arena_bytes(1));
    const void *inputs[INPUTS];
    void *outputs[OUTPUTS];
    char in[] = "i0", out[] = "o0";
    if (state == NULL || arena == NULL) return refuse("the board has too little memory\n");
    for (unsigned i = 0; i < INPUTS; i++) {
        void *data = take(input_bytes[i]);
        if (data == NULL || !whole_file(SYS_READ, in, i, data, input_bytes[i])) return refuse("an input is missing\n");
        inputs[i] = data;
    }
    for (unsigned i = 0; i < OUTPUTS; i++)
        if ((outputs[i] = take(output_bytes[i])) == NULL) return refuse("the board has too little memory\n");
    if (program->init(state, arena, program->weights, 1) != SHOESTRING_OK) return refuse("init failed\n");
    for (int run = 0; run < RUNS; run++)
        if (program->invoke(state, inputs, outputs) != SHOESTRING_OK) return refuse("invoke failed\n");
    program->close(state);
    for (unsigned i = 0; i < OUTPUTS; i++)
        if (!whole_file(SYS_WRITE, out, i, outputs[i], output_bytes[i])) return refuse("an output cannot be written\n");
    return 0;
}
