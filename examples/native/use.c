/* Runs a generated network on one input: use INPUT. The file holds the input array as it lies in memory; the largest
 * outputs are printed. Needs camera.h, camera.c and camera_weights.S; README.md has the commands. */
#include <stdio.h>

#include "camera.h"

#define INPUT_FLOATS (3 * 64 * 64)
#define CLASSES 10

/* All memory is ours: the network allocates nothing. */
static _Alignas(64) unsigned char arena[CAMERA_ARENA_BYTES];
static camera_state state;
static float image[INPUT_FLOATS];
static float scores[CLASSES];

int main(int count, char **words) {
    if (count != 2) {
        fprintf(stderr, "usage: %s INPUT\n", words[0]);
        return 2;
    }
    FILE *file = fopen(words[1], "rb");
    if (file == NULL || fread(image, sizeof *image, INPUT_FLOATS, file) != INPUT_FLOATS) {
        fprintf(stderr, "%s does not hold %d floats\n", words[1], INPUT_FLOATS);
        return 1;
    }
    fclose(file);
    /* NULL: the weights that are linked in. Give a mapped camera.weights, aligned to 64 bytes, to keep them in a file. */
    const int started = camera_init(&state, arena, NULL, 1);
    if (started != SHOESTRING_OK) {
        fprintf(stderr, "camera_init answers %d\n", started);
        return 1;
    }
    const void *inputs[] = {image};
    void *outputs[] = {scores};
    if (camera_invoke(&state, inputs, outputs) != SHOESTRING_OK) return 1;
    camera_close(&state);
    int best = 0;
    for (int i = 1; i < CLASSES; i++)
        if (scores[i] > scores[best]) best = i;
    printf("class %d, score %.4f; arena %u bytes\n", best, (double)scores[best], CAMERA_ARENA_BYTES);
    return 0;
}
