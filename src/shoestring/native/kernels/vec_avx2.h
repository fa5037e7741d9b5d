/* Vectors of eight lanes for AVX2 and FMA (Haswell, Zen and later).
 *
 * vpmaddubsw saturates, so products are exact only through 16 bits: the even and the odd bytes of codes and weights are
 * widened apart and multiplied by vpmaddwd. Widening is done once for the taps of a pixel and once for the weights of a
 * step. */
#define SS_MAX_VECTORS 2
#define SS_MAX_PIXELS 6
#define SS_PIXELS(vectors) ((vectors) == 2 ? 4 : 6) /* sixteen registers: sums, four of weights, two of taps, one product */

typedef struct { __m256i even, odd; } ss_wide; /* sixteen bits for each of four taps of eight lanes */
typedef ss_wide ss_weights;
typedef ss_wide ss_taps;
typedef ss_wide ss_columns;

SS_INLINE ss_weights ss_load_weights(const int8_t *p) {
    const __m256i w = ss_load_bytes(p);
    const ss_weights r = {_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), _mm256_srai_epi16(w, 8)};
    return r;
}
SS_INLINE ss_wide ss_widen_codes(__m256i a) {
    const ss_wide r = {_mm256_and_si256(a, _mm256_set1_epi16(0x00ff)), _mm256_srli_epi16(a, 8)};
    return r;
}
SS_INLINE ss_taps ss_load_taps(const ss_code *p) { return ss_widen_codes(ss_load_four(p)); }
SS_INLINE ss_i32 ss_dot(ss_i32 sum, ss_taps a, ss_weights w) {
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a.even, w.even));
#if !defined(__clang__) /* gcc would add the products first, and lack a register for the second one */
    __asm__("" : "+x"(sum));
#endif
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a.odd, w.odd));
}
SS_INLINE ss_i32 ss_dot_columns(ss_i32 sum, ss_columns a, ss_weights w) { return ss_dot(sum, a, w); }
SS_INLINE void ss_interleave(const ss_code *const rows[4], ss_columns out[4]) {
    __m256i bytes[4];
    ss_interleave_bytes(rows, bytes);
    SS_UNROLL for (int i = 0; i < 4; i++) out[i] = ss_widen_codes(bytes[i]);
}
