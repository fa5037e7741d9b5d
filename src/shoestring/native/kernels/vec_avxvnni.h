/* Vectors of eight lanes for AVX-VNNI (Alder Lake, N100, Zen 5 and later). */
#define SS_MAX_VECTORS 2
#define SS_MAX_PIXELS 8
#define SS_PIXELS(vectors) ((vectors) == 2 ? 6 : 8) /* sixteen registers: sums, weights, one of taps */

typedef __m256i ss_weights;
typedef __m256i ss_taps;
typedef __m256i ss_columns;

SS_INLINE ss_weights ss_load_weights(const int8_t *p) { return ss_load_bytes(p); }
SS_INLINE ss_taps ss_load_taps(const ss_code *p) { return ss_load_four(p); }
SS_INLINE ss_i32 ss_dot(ss_i32 sum, ss_taps a, ss_weights w) {
#if defined(__clang__)
    return _mm256_dpbusd_avx_epi32(sum, a, w);
#else /* gcc 12 spills every accumulator around the intrinsic; its assembler takes AVX512-VNNI's form when not told */
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(a), "xm"(w));
    return sum;
#endif
}
SS_INLINE ss_i32 ss_dot_columns(ss_i32 sum, ss_columns a, ss_weights w) { return ss_dot(sum, a, w); }
SS_INLINE void ss_interleave(const ss_code *const rows[4], ss_columns out[4]) { ss_interleave_bytes(rows, out); }
