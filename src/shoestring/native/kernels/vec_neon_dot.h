/* NEON with dot products (Cortex-A55, A76, Neoverse N1): sdot multiplies four taps of four lanes. */
#define SS_MAX_VECTORS 4 /* 32 registers: sums, taps of every pixel, a few weights */
#define SS_MAX_PIXELS 8
#define SS_PIXELS(vectors) ((vectors) == 4 ? 6 : (vectors) == 3 ? 7 : 8)

typedef int8x16_t ss_weights;
typedef int8x16_t ss_columns;
typedef int8x16_t ss_taps;

SS_INLINE ss_weights ss_load_weights(const int8_t *p) { return vld1q_s8(p); }
SS_INLINE ss_taps ss_load_taps(const ss_code *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}
SS_INLINE ss_i32 ss_dot(ss_i32 sum, ss_taps a, ss_weights w) { return vdotq_s32(sum, w, a); }
SS_INLINE ss_i32 ss_dot_columns(ss_i32 sum, ss_columns a, ss_weights w) { return vdotq_s32(sum, w, a); }

/* Four rows of 16 channels -> four vectors: vector i holds channels 4 i .. 4 i + 3, four taps each. */
SS_INLINE void ss_interleave(const ss_code *const rows[4], ss_columns out[4]) {
    const int8x16x2_t ab = vzipq_s8(vld1q_s8(rows[0]), vld1q_s8(rows[1]));
    const int8x16x2_t cd = vzipq_s8(vld1q_s8(rows[2]), vld1q_s8(rows[3]));
    SS_UNROLL for (int i = 0; i < 2; i++) {
        const int16x8x2_t both = vzipq_s16(vreinterpretq_s16_s8(ab.val[i]), vreinterpretq_s16_s8(cd.val[i]));
        out[2 * i] = vreinterpretq_s8_s16(both.val[0]);
        out[2 * i + 1] = vreinterpretq_s8_s16(both.val[1]);
    }
}

/* Sixteen codes of every pixel at once: sdot picks four of them. */
#define SS_SIXTEEN
typedef int8x16_t ss_sixteen;
SS_INLINE ss_sixteen ss_load_sixteen(const ss_code *p) { return vld1q_s8(p); }
#define SS_FOUR_OF_SIXTEEN(Q)                                                                                          \
    do {                                                                                                               \
        SS_UNROLL for (int j = 0; j < NR; j++) {                                                                       \
            const ss_weights weights = ss_load_weights(w + 16 * (NR * (Q) + j));                                       \
            SS_UNROLL for (int i = 0; i < MR; i++) sums[i][j] = vdotq_laneq_s32(sums[i][j], weights, taps[i], Q);      \
        }                                                                                                              \
    } while (0)
#define SS_SIXTEEN_DONE(CODES) w += (CODES) * SS_LANES * NR
