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
/* `first` is multiplied by the lower half of the weights, the upper half of `second` by the upper. */
SS_INLINE ss_i32 ss_dot_halves(ss_i32 sum, int8x16_t first, int8x16_t second, ss_weights w) {
#if SS_WIDE_WEIGHTS
    sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(first), vget_low_s8(w)));
    return vpadalq_s16(sum, vmull_s8(vget_high_s8(second), vget_high_s8(w)));
#elif defined(__aarch64__) /* compilers move the multiplications of many sums together and spill their products */
    int16x8_t products;
    __asm__("smull %1.8h, %2.8b, %4.8b\n\tsmlal2 %1.8h, %3.16b, %4.16b\n\tsadalp %0.4s, %1.8h"
            : "+w"(sum), "=&w"(products)
            : "w"(first), "w"(second), "w"(w));
    return sum;
#else
    const int16x8_t products = vmull_s8(vget_low_s8(first), vget_low_s8(w));
    return vpadalq_s16(sum, vmlal_s8(products, vget_high_s8(second), vget_high_s8(w)));
#endif
}
/* Two sums at once, for processors that run instructions in their order: nothing waits for the one before it. */
SS_INLINE void ss_dot_two(ss_i32 *sums, ss_taps a, const ss_weights *w) {
#if defined(__aarch64__) && !SS_WIDE_WEIGHTS
    int16x8_t p, q;
    __asm__("smull %2.8h, %4.8b, %6.8b\n\tsmull %3.8h, %4.8b, %7.8b\n\t"
            "smlal2 %2.8h, %5.16b, %6.16b\n\tsmlal2 %3.8h, %5.16b, %7.16b\n\t"
            "sadalp %0.4s, %2.8h\n\tsadalp %1.4s, %3.8h"
            : "+w"(sums[0]), "+w"(sums[1]), "=&w"(p), "=&w"(q)
            : "w"(a.first), "w"(a.second), "w"(w[0]), "w"(w[1]));
#else
    for (int j = 0; j < 2; j++) sums[j] = ss_dot_halves(sums[j], a.first, a.second, w[j]);
#endif
}
SS_INLINE ss_i32 ss_dot(ss_i32 sum, ss_taps a, ss_weights w) {
    return ss_dot_halves(sum, a.first, a.second, w);
}
SS_INLINE ss_i32 ss_dot_columns(ss_i32 sum, ss_columns a, ss_weights w) {
    return ss_dot_halves(sum, a, a, w);
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
