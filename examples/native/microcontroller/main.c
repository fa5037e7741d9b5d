/* A generated network on a bare Cortex-M7: no operating system, no heap, no C library but memory and math.
 * The image is a pattern, so that the example needs no camera; the answer goes to the debugger by semihosting. */
#include "camera.h"
#include "semihosting.h"

#define INPUT_FLOATS (3 * 64 * 64)
#define CLASSES 10

static _Alignas(64) unsigned char arena[CAMERA_ARENA_BYTES];
static camera_state state;
static float image[INPUT_FLOATS];
static float scores[CLASSES];

int main(void) {
    for (int i = 0; i < INPUT_FLOATS; i++) image[i] = (float)(i % 251) * (1.0f / 251.0f);
    const void *inputs[] = {image};
    void *outputs[] = {scores};
    if (camera_init(&state, arena, NULL, 1) != SHOESTRING_OK || camera_invoke(&state, inputs, outputs) != SHOESTRING_OK) {
        say("the network does not run\n");
        return 1;
    }
    int best = 0;
    for (int i = 1; i < CLASSES; i++)
        if (scores[i] > scores[best]) best = i;
    char words[] = "class 0\n";
    words[6] = (char)('0' + best);
    say(words);
    return 0;
}
