/* 64-bit NEON without dot products (Cortex-A53, A57, A72). 32 registers: sums, weights, two of taps, one of products. */
#define SS_MAX_VECTORS 6
#define SS_MAX_PIXELS 8
#define SS_PIXELS(vectors)                                                                                             \
    ((vectors) == 6 ? 3 : (vectors) == 5 ? 4 : (vectors) == 4 ? 5 : (vectors) == 3 ? 6 : 8)

/* Sixteen codes of every pixel at once: one load and eight copies of lanes. */
#define SS_SIXTEEN
#define SS_FOUR_OF_SIXTEEN(Q)                                                                                          \
    do {                                                                                                               \
        ss_weights weights[SS_MAX_VECTORS];                                                                            \
        SS_UNROLL for (int j = 0; j < NR; j++) weights[j] = ss_load_weights(w + 16 * (NR * (Q) + j));                   \
        SS_UNROLL for (int i = 0; i < MR; i++) {                                                                       \
            const int16x8_t codes = vreinterpretq_s16_s8(taps[i]);                                                     \
            const ss_taps a = {vreinterpretq_s8_s16(vdupq_laneq_s16(codes, 2 * (Q))),                                  \
                               vreinterpretq_s8_s16(vdupq_laneq_s16(codes, 2 * (Q) + 1))};                             \
            SS_UNROLL for (int j = 0; j + 2 <= NR; j += 2) ss_dot_two(sums[i] + j, a, weights + j);                     \
            if (NR % 2 == 1) sums[i][NR - 1] = ss_dot(sums[i][NR - 1], a, weights[NR - 1]);                            \
        }                                                                                                              \
    } while (0)
