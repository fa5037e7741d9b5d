/* Vectors of four lanes for SSE4.1: exact products through 16 bits as in vec_avx2.h, and no fused multiply-add. */
#include <smmintrin.h>
#define SS_LANES 4
#define SS_MAX_VECTORS 2
#define SS_MAX_PIXELS 6
#define SS_PIXELS(vectors) ((vectors) == 2 ? 4 : 6) /* sixteen registers: sums, four of weights, two of taps, one product */

typedef __m128i ss_i32;
typedef __m128 ss_f32;
typedef struct { __m128i even, odd; } ss_wide; /* sixteen bits for each of four taps of four lanes */
typedef ss_wide ss_weights;
typedef ss_wide ss_taps;
typedef ss_wide ss_columns;

SS_INLINE __m128i ss_load_bytes(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
SS_INLINE ss_i32 ss_load_i32(const int32_t *p) { return ss_load_bytes(p); }
SS_INLINE ss_weights ss_load_weights(const int8_t *p) {
    const __m128i w = ss_load_bytes(p);
    const ss_weights r = {_mm_srai_epi16(_mm_slli_epi16(w, 8), 8), _mm_srai_epi16(w, 8)};
    return r;
}
SS_INLINE ss_wide ss_widen_codes(__m128i a) {
    const ss_wide r = {_mm_and_si128(a, _mm_set1_epi16(0x00ff)), _mm_srli_epi16(a, 8)};
    return r;
}
SS_INLINE ss_taps ss_load_taps(const ss_code *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return ss_widen_codes(_mm_set1_epi32(four));
}
SS_INLINE ss_i32 ss_dot(ss_i32 sum, ss_taps a, ss_weights w) {
    sum = _mm_add_epi32(sum, _mm_madd_epi16(a.even, w.even));
#if !defined(__clang__) /* gcc would add the products first, and lack a register for the second one */
    __asm__("" : "+x"(sum));
#endif
    return _mm_add_epi32(sum, _mm_madd_epi16(a.odd, w.odd));
}
SS_INLINE ss_i32 ss_dot_columns(ss_i32 sum, ss_columns a, ss_weights w) { return ss_dot(sum, a, w); }

/* Four rows of 16 channels -> four vectors: vector i holds channels 4 i .. 4 i + 3, four taps each. */
SS_INLINE void ss_interleave(const ss_code *const rows[4], ss_columns out[4]) {
    const __m128i a = ss_load_bytes(rows[0]), b = ss_load_bytes(rows[1]);
    const __m128i c = ss_load_bytes(rows[2]), d = ss_load_bytes(rows[3]);
    const __m128i ab_low = _mm_unpacklo_epi8(a, b), ab_high = _mm_unpackhi_epi8(a, b);
    const __m128i cd_low = _mm_unpacklo_epi8(c, d), cd_high = _mm_unpackhi_epi8(c, d);
    out[0] = ss_widen_codes(_mm_unpacklo_epi16(ab_low, cd_low));
    out[1] = ss_widen_codes(_mm_unpackhi_epi16(ab_low, cd_low));
    out[2] = ss_widen_codes(_mm_unpacklo_epi16(ab_high, cd_high));
    out[3] = ss_widen_codes(_mm_unpackhi_epi16(ab_high, cd_high));
}
SS_INLINE ss_f32 ss_scaled(ss_i32 sum, const float *multiplier) {
    return _mm_mul_ps(_mm_cvtepi32_ps(sum), _mm_loadu_ps(multiplier));
}
SS_INLINE __m128i ss_rounded(ss_i32 sum, const float *multiplier) { return _mm_cvtps_epi32(ss_scaled(sum, multiplier)); }

/* Two vectors, rounded, as sixteen bits around the zero point. */
SS_INLINE __m128i ss_rounded_pair(const ss_i32 *sums, const float *multiplier, const ss_scaling *s) {
    const __m128i x = _mm_packs_epi32(ss_rounded(sums[0], multiplier), ss_rounded(sums[1], multiplier + 4));
    return _mm_adds_epi16(x, _mm_set1_epi16((short)s->zero));
}
/* Saturation clamps to the type, pmaxub and pminub to narrower bounds (low + zero, high + zero). */
SS_INLINE __m128i ss_clamp_codes(__m128i x, const ss_scaling *s) {
    if (s->open) return x;
    x = _mm_max_epu8(x, _mm_set1_epi8((char)((int32_t)s->low + s->zero)));
    return _mm_min_epu8(x, _mm_set1_epi8((char)((int32_t)s->high + s->zero)));
}
SS_INLINE void ss_store_channels(ss_code *out, const ss_i32 *sums, const float *multiplier, const ss_scaling *s) {
    const __m128i low = ss_rounded_pair(sums, multiplier, s), high = ss_rounded_pair(sums + 2, multiplier + 8, s);
    _mm_storeu_si128((__m128i *)(void *)out, ss_clamp_codes(_mm_packus_epi16(low, high), s));
}
SS_INLINE void ss_store_codes(ss_code *out, const ss_i32 *sums, int count, const float *multiplier, const ss_scaling *s) {
    if (count == 4) {
        ss_store_channels(out, sums, multiplier, s);
    } else if (count == 2) {
        const __m128i x = ss_rounded_pair(sums, multiplier, s);
        _mm_storel_epi64((__m128i *)(void *)out, ss_clamp_codes(_mm_packus_epi16(x, x), s));
    } else {
        const __m128i x = ss_rounded(sums[0], multiplier);
        const __m128i y = _mm_adds_epi16(_mm_packs_epi32(x, x), _mm_set1_epi16((short)s->zero));
        const int32_t four = _mm_cvtsi128_si32(ss_clamp_codes(_mm_packus_epi16(y, y), s));
        memcpy(out, &four, sizeof four);
    }
}
SS_INLINE ss_f32 ss_load_f32(const float *p) { return _mm_loadu_ps(p); }
SS_INLINE void ss_store_f32(float *p, ss_f32 x) { _mm_storeu_ps(p, x); }
SS_INLINE ss_f32 ss_set_f32(float x) { return _mm_set1_ps(x); }
SS_INLINE ss_f32 ss_mul_add(ss_f32 sum, ss_f32 a, ss_f32 b) { return _mm_add_ps(sum, _mm_mul_ps(a, b)); }
/* max and min give their second operand for a NaN. */
SS_INLINE ss_f32 ss_clamp_f32(ss_f32 x, float low, float high) {
    return _mm_min_ps(_mm_max_ps(x, _mm_set1_ps(low)), _mm_set1_ps(high));
}
