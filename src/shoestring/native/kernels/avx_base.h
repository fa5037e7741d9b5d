/* What the headers for 256-bit registers share: vectors of eight lanes, floats, and sums that become codes. */
#include <immintrin.h>
#define SS_LANES 8

typedef __m256i ss_i32;
typedef __m256 ss_f32;

SS_INLINE __m256i ss_load_bytes(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
SS_INLINE ss_i32 ss_load_i32(const int32_t *p) { return ss_load_bytes(p); }
/* Four codes, the same for all lanes. */
SS_INLINE __m256i ss_load_four(const ss_code *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}
/* Four rows of 32 channels -> four vectors. 128-bit lane l of vector i holds channels 16 l + 4 i .. + 3, four taps each:
 * the order that ss_store_codes puts back. */
SS_INLINE void ss_interleave_bytes(const ss_code *const rows[4], __m256i out[4]) {
    const __m256i a = ss_load_bytes(rows[0]), b = ss_load_bytes(rows[1]);
    const __m256i c = ss_load_bytes(rows[2]), d = ss_load_bytes(rows[3]);
    const __m256i ab_low = _mm256_unpacklo_epi8(a, b), ab_high = _mm256_unpackhi_epi8(a, b);
    const __m256i cd_low = _mm256_unpacklo_epi8(c, d), cd_high = _mm256_unpackhi_epi8(c, d);
    out[0] = _mm256_unpacklo_epi16(ab_low, cd_low);
    out[1] = _mm256_unpackhi_epi16(ab_low, cd_low);
    out[2] = _mm256_unpacklo_epi16(ab_high, cd_high);
    out[3] = _mm256_unpackhi_epi16(ab_high, cd_high);
}
SS_INLINE ss_f32 ss_scaled(ss_i32 sum, const float *multiplier) {
    return _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(multiplier));
}
SS_INLINE __m256i ss_rounded(ss_i32 sum, const float *multiplier) {
    return _mm256_cvtps_epi32(ss_scaled(sum, multiplier));
}
/* Two vectors, rounded, as sixteen bits around the zero point. */
SS_INLINE __m256i ss_rounded_pair(const ss_i32 *sums, const float *multiplier, const ss_scaling *s) {
    const __m256i x = _mm256_packs_epi32(ss_rounded(sums[0], multiplier), ss_rounded(sums[1], multiplier + 8));
    return _mm256_adds_epi16(x, _mm256_set1_epi16((short)s->zero));
}
/* Saturation clamps to the type, vpmaxub and vpminub to narrower bounds (low + zero, high + zero). */
SS_INLINE __m128i ss_clamp_codes(__m128i x, const ss_scaling *s) {
    if (s->open) return x;
    x = _mm_max_epu8(x, _mm_set1_epi8((char)((int32_t)s->low + s->zero)));
    return _mm_min_epu8(x, _mm_set1_epi8((char)((int32_t)s->high + s->zero)));
}
SS_INLINE void ss_store_channels(ss_code *out, const ss_i32 *sums, const float *multiplier, const ss_scaling *s) {
    const __m256i low = ss_rounded_pair(sums, multiplier, s), high = ss_rounded_pair(sums + 2, multiplier + 16, s);
    __m256i x = _mm256_packus_epi16(low, high);
    if (!s->open) {
        x = _mm256_max_epu8(x, _mm256_set1_epi8((char)((int32_t)s->low + s->zero)));
        x = _mm256_min_epu8(x, _mm256_set1_epi8((char)((int32_t)s->high + s->zero)));
    }
    _mm256_storeu_si256((__m256i *)(void *)out, x);
}
SS_INLINE void ss_store_codes(ss_code *out, const ss_i32 *sums, int count, const float *multiplier, const ss_scaling *s) {
    if (count == 4) {
        ss_store_channels(out, sums, multiplier, s);
    } else if (count == 2) {
        const __m256i x = ss_rounded_pair(sums, multiplier, s);
        const __m128i codes = _mm_packus_epi16(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
        _mm_storeu_si128((__m128i *)(void *)out, ss_clamp_codes(codes, s));
    } else {
        const __m256i x = ss_rounded(sums[0], multiplier);
        const __m128i y = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
        const __m128i z = _mm_adds_epi16(y, _mm_set1_epi16((short)s->zero));
        _mm_storel_epi64((__m128i *)(void *)out, ss_clamp_codes(_mm_packus_epi16(z, z), s));
    }
}
SS_INLINE ss_f32 ss_load_f32(const float *p) { return _mm256_loadu_ps(p); }
SS_INLINE void ss_store_f32(float *p, ss_f32 x) { _mm256_storeu_ps(p, x); }
SS_INLINE ss_f32 ss_set_f32(float x) { return _mm256_set1_ps(x); }
SS_INLINE ss_f32 ss_mul_add(ss_f32 sum, ss_f32 a, ss_f32 b) { return _mm256_fmadd_ps(a, b, sum); }
/* max and min give their second operand for a NaN. */
SS_INLINE ss_f32 ss_clamp_f32(ss_f32 x, float low, float high) {
    return _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(low)), _mm256_set1_ps(high));
}
