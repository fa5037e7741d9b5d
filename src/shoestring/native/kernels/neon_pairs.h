/* NEON without dot products.
 *
 * Weights come in pairs: a vector of four lanes holds taps 0 and 1 of every lane, then taps 2 and 3. Two products of
 * signed bytes fit in sixteen bits (2 * 127 * 128 = 32512), so four taps of four lanes take three instructions: multiply,
 * multiply and add, add pairs to the sums. Only two weights of -128 on two codes of -128 would not fit; the emitter
 * defines SS_WIDE_WEIGHTS for a program that has such weights, and then every product is added by itself. */
typedef int8x16_t ss_weights;
typedef int8x16_t ss_columns;
typedef struct { int8x16_t first, second; } ss_taps; /* taps 0 and 1, taps 2 and 3, the same for all lanes */

SS_INLINE ss_weights ss_load_weights(const int8_t *p) { return vld1q_s8(p); }
SS_INLINE int8x16_t ss_two_taps(const ss_code *p) {
    int16_t two;
    memcpy(&two, p, sizeof two);
    return vreinterpretq_s8_s16(vdupq_n_s16(two));
}
SS_INLINE ss_taps ss_load_taps(const ss_code *p) {
    const ss_taps r = {ss_two_taps(p), ss_two_taps(p + 2)};
    return r;
}
/* `low` and `high` are multiplied by the lower and the upper half of the weights. */
SS_INLINE ss_i32 ss_dot_halves(ss_i32 sum, int8x8_t low, int8x16_t high, ss_weights w) {
    const int16x8_t first = vmull_s8(low, vget_low_s8(w));
#if SS_WIDE_WEIGHTS
    return vpadalq_s16(vpadalq_s16(sum, first), vmull_s8(vget_high_s8(high), vget_high_s8(w)));
#elif defined(__aarch64__)
    return vpadalq_s16(sum, vmlal_high_s8(first, high, w));
#else
    return vpadalq_s16(sum, vmlal_s8(first, vget_high_s8(high), vget_high_s8(w)));
#endif
}
SS_INLINE ss_i32 ss_dot(ss_i32 sum, ss_taps a, ss_weights w) {
    return ss_dot_halves(sum, vget_low_s8(a.first), a.second, w);
}
SS_INLINE ss_i32 ss_dot_columns(ss_i32 sum, ss_columns a, ss_weights w) {
    return ss_dot_halves(sum, vget_low_s8(a), a, w);
}

/* Four rows of 16 channels -> four vectors: vector i holds channels 4 i .. 4 i + 3, two rows of each, then the others. */
SS_INLINE void ss_interleave(const ss_code *const rows[4], ss_columns out[4]) {
    const int8x16x2_t ab = vzipq_s8(vld1q_s8(rows[0]), vld1q_s8(rows[1]));
    const int8x16x2_t cd = vzipq_s8(vld1q_s8(rows[2]), vld1q_s8(rows[3]));
    SS_UNROLL for (int i = 0; i < 2; i++) {
        out[2 * i] = vcombine_s8(vget_low_s8(ab.val[i]), vget_low_s8(cd.val[i]));
        out[2 * i + 1] = vcombine_s8(vget_high_s8(ab.val[i]), vget_high_s8(cd.val[i]));
    }
}
