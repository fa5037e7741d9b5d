/* Vectors of sixteen lanes for AVX-512 with VNNI (Ice Lake, Zen 4 and later). */
#include <immintrin.h>
#define SS_LANES 16
#define SS_MAX_VECTORS 4
#define SS_MAX_PIXELS 12
#define SS_STORES_THREE
#define SS_STORES_PARTS
#define SS_PIXELS(vectors) ((vectors) == 4 ? 6 : (vectors) == 3 ? 8 : 12) /* pixels in a block beside so many vectors */

typedef __m512i ss_i32;
typedef __m512 ss_f32;
typedef __m512i ss_weights;
typedef __m512i ss_taps;
typedef __m512i ss_columns;

SS_INLINE ss_i32 ss_load_i32(const int32_t *p) { return _mm512_loadu_si512(p); }
SS_INLINE ss_weights ss_load_weights(const int8_t *p) { return _mm512_loadu_si512(p); }
SS_INLINE ss_taps ss_load_taps(const ss_code *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}
SS_INLINE ss_i32 ss_dot(ss_i32 sum, ss_taps a, ss_weights w) {
#if defined(__clang__)
    return _mm512_dpbusd_epi32(sum, a, w);
#else /* gcc 12 spills every accumulator around the intrinsic */
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "vm"(w));
    return sum;
#endif
}
SS_INLINE ss_i32 ss_dot_columns(ss_i32 sum, ss_columns a, ss_weights w) { return ss_dot(sum, a, w); }

/* Four rows of 64 channels -> four vectors. 128-bit lane l of vector i holds channels 16 l + 4 i .. + 3, four taps each:
 * the order that ss_store_codes puts back. */
SS_INLINE void ss_interleave(const ss_code *const rows[4], ss_columns out[4]) {
    const __m512i a = _mm512_loadu_si512(rows[0]), b = _mm512_loadu_si512(rows[1]);
    const __m512i c = _mm512_loadu_si512(rows[2]), d = _mm512_loadu_si512(rows[3]);
    const __m512i ab_low = _mm512_unpacklo_epi8(a, b), ab_high = _mm512_unpackhi_epi8(a, b);
    const __m512i cd_low = _mm512_unpacklo_epi8(c, d), cd_high = _mm512_unpackhi_epi8(c, d);
    out[0] = _mm512_unpacklo_epi16(ab_low, cd_low);
    out[1] = _mm512_unpackhi_epi16(ab_low, cd_low);
    out[2] = _mm512_unpacklo_epi16(ab_high, cd_high);
    out[3] = _mm512_unpackhi_epi16(ab_high, cd_high);
}
SS_INLINE ss_f32 ss_scaled(ss_i32 sum, const float *multiplier) {
    return _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(multiplier));
}
SS_INLINE __m512i ss_rounded(ss_i32 sum, const float *multiplier) {
    return _mm512_cvtps_epi32(ss_scaled(sum, multiplier));
}
/* Packing leaves 128-bit lane l with four codes of each vector; pack.py orders the lanes so that these are neighbours.
 * With fewer than four vectors the useful part of every lane is moved to the front. */
SS_INLINE void ss_store_codes(ss_code *out, const ss_i32 *sums, int count, const float *multiplier, const ss_scaling *s) {
    const __m512i last = ss_rounded(sums[count - 1], multiplier + 16 * (count - 1));
    __m512i x, y;
    if (count == 1) {
        x = y = _mm512_packs_epi32(last, last);
    } else {
        x = _mm512_packs_epi32(ss_rounded(sums[0], multiplier), count == 2 ? last : ss_rounded(sums[1], multiplier + 16));
        y = count == 2   ? x
            : count == 3 ? _mm512_packs_epi32(last, last)
                         : _mm512_packs_epi32(ss_rounded(sums[2], multiplier + 32), last);
    }
    if (s->zero != 0) {
        const __m512i zero = _mm512_set1_epi16((short)s->zero);
        x = _mm512_adds_epi16(x, zero);
        y = count <= 2 ? x : _mm512_adds_epi16(y, zero);
    }
    x = _mm512_packus_epi16(x, y);
    if (!s->open) {
        x = _mm512_max_epu8(x, _mm512_set1_epi8((char)((int32_t)s->low + s->zero)));
        x = _mm512_min_epu8(x, _mm512_set1_epi8((char)((int32_t)s->high + s->zero)));
    }
    if (count == 4) {
        _mm512_storeu_si512(out, x);
    } else if (count == 3) {
        x = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 15, 15, 15), x);
        _mm256_storeu_si256((__m256i *)(void *)out, _mm512_castsi512_si256(x));
        _mm_storeu_si128((__m128i *)(void *)(out + 32), _mm512_extracti32x4_epi32(x, 2));
    } else if (count == 2) {
        x = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 7, 7, 7, 7), x);
        _mm256_storeu_si256((__m256i *)(void *)out, _mm512_castsi512_si256(x));
    } else {
        x = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15), x);
        _mm_storeu_si128((__m128i *)(void *)out, _mm512_castsi512_si128(x));
    }
}
SS_INLINE void ss_store_channels(ss_code *out, const ss_i32 *sums, const float *multiplier, const ss_scaling *s) {
    ss_store_codes(out, sums, 4, multiplier, s);
}
/* The first 16 * vectors channels of a block, fewer than four vectors. */
SS_INLINE void ss_store_part(ss_code *out, const ss_i32 *sums, int32_t vectors, const float *multiplier,
                             const ss_scaling *s) {
    const __m512i zero = _mm512_set1_epi16((short)s->zero);
    __m512i x = _mm512_packs_epi32(ss_rounded(sums[0], multiplier), ss_rounded(sums[1], multiplier + 16));
    const __m512i y = _mm512_packs_epi32(ss_rounded(sums[2], multiplier + 32), ss_rounded(sums[3], multiplier + 48));
    x = _mm512_packus_epi16(_mm512_adds_epi16(x, zero), _mm512_adds_epi16(y, zero));
    x = _mm512_max_epu8(x, _mm512_set1_epi8((char)((int32_t)s->low + s->zero)));
    x = _mm512_min_epu8(x, _mm512_set1_epi8((char)((int32_t)s->high + s->zero)));
    if (vectors == 1) {
        _mm_storeu_si128((__m128i *)(void *)out, _mm512_castsi512_si128(x));
        return;
    }
    _mm256_storeu_si256((__m256i *)(void *)out, _mm512_castsi512_si256(x));
    if (vectors == 3) _mm_storeu_si128((__m128i *)(void *)(out + 32), _mm512_extracti32x4_epi32(x, 2));
}
SS_INLINE ss_f32 ss_load_f32(const float *p) { return _mm512_loadu_ps(p); }
SS_INLINE void ss_store_f32(float *p, ss_f32 x) { _mm512_storeu_ps(p, x); }
SS_INLINE ss_f32 ss_set_f32(float x) { return _mm512_set1_ps(x); }
SS_INLINE ss_f32 ss_mul_add(ss_f32 sum, ss_f32 a, ss_f32 b) { return _mm512_fmadd_ps(a, b, sum); }
/* max and min give their second operand for a NaN. */
SS_INLINE ss_f32 ss_clamp_f32(ss_f32 x, float low, float high) {
    return _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(low)), _mm512_set1_ps(high));
}

/* One of four parts of a sum of codes: the scaled floats of 16 codes of each input, added and rounded. */
SS_INLINE __m512i ss_added(const ss_code *a, const ss_code *b, __m512i zero_a, __m512i zero_b, __m512 ra, __m512 rb) {
    const __m512i x = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)a));
    const __m512i y = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)b));
    const __m512 fx = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(x, zero_a)), ra);
    const __m512 fy = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(y, zero_b)), rb);
    return _mm512_cvtps_epi32(_mm512_add_ps(fx, fy));
}

/* Codes are added 64 at a time; saturation clamps like bounds do as long as sums stay inside int32. */
#define SS_ADD_CODES(p, a, b, out, count) \
    ss_add_codes((p)->zero_a, (p)->zero_b, (p)->ratio_a, (p)->ratio_b, (p)->low, (p)->high, (p)->zero, a, b, out, count)
SS_USED ptrdiff_t ss_add_codes(int32_t zero_a, int32_t zero_b, float ratio_a, float ratio_b, float low, float high,
                               int32_t zero, const ss_code *a, const ss_code *b, ss_code *out, ptrdiff_t count) {
    if (ratio_a > 1e6f || ratio_b > 1e6f) return 0;
    const __m512i za = _mm512_set1_epi32(zero_a), zb = _mm512_set1_epi32(zero_b);
    const __m512 ra = _mm512_set1_ps(ratio_a), rb = _mm512_set1_ps(ratio_b);
    const __m512i z = _mm512_set1_epi16((short)zero);
    const __m512i least = _mm512_set1_epi8((char)((int32_t)low + zero)), most = _mm512_set1_epi8((char)((int32_t)high + zero));
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    ptrdiff_t i = 0;
    for (; i + 64 <= count; i += 64) {
        const __m512i s0 = ss_added(a + i, b + i, za, zb, ra, rb), s1 = ss_added(a + i + 16, b + i + 16, za, zb, ra, rb);
        const __m512i s2 = ss_added(a + i + 32, b + i + 32, za, zb, ra, rb);
        const __m512i s3 = ss_added(a + i + 48, b + i + 48, za, zb, ra, rb);
        const __m512i x = _mm512_adds_epi16(_mm512_packs_epi32(s0, s1), z);
        const __m512i y = _mm512_adds_epi16(_mm512_packs_epi32(s2, s3), z);
        const __m512i codes = _mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(x, y), least), most);
        _mm512_storeu_si512(out + i, _mm512_permutexvar_epi32(order, codes));
    }
    return i;
}
