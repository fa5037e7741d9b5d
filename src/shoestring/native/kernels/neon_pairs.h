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
    __asm__ volatile("smull %1.8h, %2.8b, %4.8b\n\tsmlal2 %1.8h, %3.16b, %4.16b\n\tsadalp %0.4s, %1.8h"
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
    __asm__ volatile("smull %2.8h, %4.8b, %6.8b\n\tsmull %3.8h, %4.8b, %7.8b\n\t"
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

/* Four rows of 16 channels -> rows 0 and 1 of channels 0 to 7, rows 2 and 3 of them, then the other channels. */
SS_INLINE void ss_interleave(const ss_code *const rows[4], ss_columns out[4]) {
    const int8x16x2_t ab = vzipq_s8(vld1q_s8(rows[0]), vld1q_s8(rows[1]));
    const int8x16x2_t cd = vzipq_s8(vld1q_s8(rows[2]), vld1q_s8(rows[3]));
    SS_UNROLL for (int i = 0; i < 2; i++) {
        out[2 * i] = ab.val[i];
        out[2 * i + 1] = cd.val[i];
    }
}
/* Weights lie like the columns: two vectors of sums take one vector of rows 0 and 1, and one of rows 2 and 3. */
#define SS_DOTS_BLOCKS
SS_INLINE void ss_dot_eight(ss_i32 *sums, int8x16_t ab, int8x16_t cd, int8x16_t v, int8x16_t w) {
#if defined(__aarch64__) && !SS_WIDE_WEIGHTS
    int16x8_t p, q;
    __asm__ volatile("smull %2.8h, %4.8b, %6.8b\n\tsmull2 %3.8h, %4.16b, %6.16b\n\t"
                     "smlal %2.8h, %5.8b, %7.8b\n\tsmlal2 %3.8h, %5.16b, %7.16b\n\t"
                     "sadalp %0.4s, %2.8h\n\tsadalp %1.4s, %3.8h"
                     : "+w"(sums[0]), "+w"(sums[1]), "=&w"(p), "=&w"(q)
                     : "w"(ab), "w"(cd), "w"(v), "w"(w));
#else
    const int16x8_t p = vmull_s8(vget_low_s8(ab), vget_low_s8(v)), q = vmull_s8(vget_high_s8(ab), vget_high_s8(v));
#if SS_WIDE_WEIGHTS
    sums[0] = vpadalq_s16(vpadalq_s16(sums[0], p), vmull_s8(vget_low_s8(cd), vget_low_s8(w)));
    sums[1] = vpadalq_s16(vpadalq_s16(sums[1], q), vmull_s8(vget_high_s8(cd), vget_high_s8(w)));
#else
    sums[0] = vpadalq_s16(sums[0], vmlal_s8(p, vget_low_s8(cd), vget_low_s8(w)));
    sums[1] = vpadalq_s16(sums[1], vmlal_s8(q, vget_high_s8(cd), vget_high_s8(w)));
#endif
#endif
}
SS_INLINE void ss_dot_block(ss_i32 *sums, const ss_columns *columns, const int8_t *weights) {
    SS_UNROLL for (int i = 0; i < 4; i += 2)
        ss_dot_eight(sums + i, columns[i], columns[i + 1], vld1q_s8(weights + 16 * i), vld1q_s8(weights + 16 * i + 16));
}
