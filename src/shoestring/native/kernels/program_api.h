/* @NAME@: a neural network, generated.
 *
@PORTS@
 * Arrays are dense and in row-major order. All memory is the caller's:
 *
 *   static _Alignas(64) unsigned char arena[@UPPER@_ARENA_BYTES];
 *   static @NAME@_state state;
 *   @NAME@_init(&state, arena, NULL, 1);
 *   @NAME@_invoke(&state, inputs, outputs);
 */
#ifndef @UPPER@_H
#define @UPPER@_H

@PROGRAM_H@
#define @UPPER@_ARENA_BYTES @ARENA_BYTES@u /* for one thread; see @NAME@_arena_bytes */
#define @UPPER@_WEIGHTS_BYTES @WEIGHTS_BYTES@u
#define @UPPER@_MAX_THREADS @THREADS@u
#define @UPPER@_STATE_BYTES 1024u

typedef struct {
    _Alignas(16) unsigned char bytes[@UPPER@_STATE_BYTES];
} @NAME@_state;

/* Bytes of arena for so many threads; 0 when there are none or too many. */
size_t @NAME@_arena_bytes(uint32_t threads);

/* Prepare a state. `weights`: a mapped file, aligned to 64, or NULL for those linked in. Answers SHOESTRING_OK or why not. */
int @NAME@_init(void *state, void *arena, const void *weights, uint32_t threads);

/* One inference: reads inputs[i], writes outputs[i]. */
int @NAME@_invoke(void *state, const void *const *inputs, void *const *outputs);

/* End the threads of an initialised state. The state may be initialised again. */
void @NAME@_close(void *state);

#endif
