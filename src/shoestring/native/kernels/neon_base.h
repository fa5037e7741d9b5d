/* What the Arm headers share: vectors of four lanes, floats, and sums that become codes.
 *
 * 32-bit NEON flushes subnormal floats to zero. Codes do not notice: what is flushed rounds to zero anyway. Float layers
 * there may differ from the definition below 1.2e-38, and nowhere else. */
#include <arm_neon.h>
#define SS_LANES 4
#define SS_STORES_THREE
#define SS_KEEPS_MULTIPLIERS

typedef int32x4_t ss_i32;
typedef float32x4_t ss_f32;

SS_INLINE ss_i32 ss_load_i32(const int32_t *p) { return vld1q_s32(p); }
SS_INLINE ss_f32 ss_load_f32(const float *p) { return vld1q_f32(p); }
SS_INLINE void ss_store_f32(float *p, ss_f32 x) { vst1q_f32(p, x); }
SS_INLINE ss_f32 ss_set_f32(float x) { return vdupq_n_f32(x); }
SS_INLINE ss_f32 ss_mul_add(ss_f32 sum, ss_f32 a, ss_f32 b) { return vfmaq_f32(sum, a, b); }
/* Selection, not fmax: a NaN must give the bound, and zeros keep their sign. */
SS_INLINE ss_f32 ss_clamp_f32(ss_f32 x, float low, float high) {
    const ss_f32 lowest = vdupq_n_f32(low), highest = vdupq_n_f32(high);
    x = vbslq_f32(vcgtq_f32(x, lowest), x, lowest);
    return vbslq_f32(vcltq_f32(x, highest), x, highest);
}
SS_INLINE ss_f32 ss_scaled(ss_i32 sum, const float *multiplier) {
    return vmulq_f32(vcvtq_f32_s32(sum), vld1q_f32(multiplier));
}

#if defined(__aarch64__)
/* Saturation and the clamp of codes come after rounding: bounds are integers, so the order makes no difference. */
SS_INLINE int16x8_t ss_rounded_pair(const ss_i32 *sums, const float *multiplier) {
    const int32x4_t a = vcvtnq_s32_f32(ss_scaled(sums[0], multiplier));
    const int32x4_t b = vcvtnq_s32_f32(ss_scaled(sums[1], multiplier + 4));
    return vqmovn_high_s32(vqmovn_s32(a), b);
}
SS_INLINE int8x16_t ss_codes_of(int16x8_t a, int16x8_t b, const ss_scaling *s) {
    if (s->open && s->zero == SS_LOWEST) /* saturation as unsigned clamps, and flipping the top bit adds the zero point */
        return vreinterpretq_s8_u8(veorq_u8(vqmovun_high_s16(vqmovun_s16(a), b), vdupq_n_u8(0x80)));
    const int16x8_t zero = vdupq_n_s16((int16_t)s->zero);
    int8x16_t x = vqmovn_high_s16(vqmovn_s16(vqaddq_s16(a, zero)), vqaddq_s16(b, zero));
    x = vmaxq_s8(x, vdupq_n_s8((int8_t)((int32_t)s->low + s->zero)));
    return vminq_s8(x, vdupq_n_s8((int8_t)((int32_t)s->high + s->zero)));
}
SS_INLINE int8x16_t ss_codes16(const ss_i32 *sums, const float *multiplier, const ss_scaling *s) {
    return ss_codes_of(ss_rounded_pair(sums, multiplier), ss_rounded_pair(sums + 2, multiplier + 8), s);
}
SS_INLINE int8x8_t ss_codes8(const ss_i32 *sums, const float *multiplier, const ss_scaling *s) {
    const int16x8_t x = ss_rounded_pair(sums, multiplier);
    return vget_low_s8(ss_codes_of(x, x, s));
}
#else
/* There is no rounding conversion: the magic addition of ss_rint, on clamped floats, leaves the code in the low bits. */
SS_INLINE int16x4_t ss_rounded4(ss_i32 sum, const float *multiplier, const ss_scaling *s) {
    ss_f32 x = vmaxq_f32(ss_scaled(sum, multiplier), vdupq_n_f32(s->low));
    x = vaddq_f32(vminq_f32(x, vdupq_n_f32(s->high)), vdupq_n_f32(12582912.0f));
    return vmovn_s32(vaddq_s32(vreinterpretq_s32_f32(x), vdupq_n_s32(s->zero)));
}
SS_INLINE int8x8_t ss_codes8(const ss_i32 *sums, const float *multiplier, const ss_scaling *s) {
    const int16x4_t a = ss_rounded4(sums[0], multiplier, s), b = ss_rounded4(sums[1], multiplier + 4, s);
    return vmovn_s16(vcombine_s16(a, b));
}
SS_INLINE int8x16_t ss_codes16(const ss_i32 *sums, const float *multiplier, const ss_scaling *s) {
    return vcombine_s8(ss_codes8(sums, multiplier, s), ss_codes8(sums + 2, multiplier + 8, s));
}
#endif

/* Any number of vectors: sixteen codes at a time, then eight, then four. */
SS_INLINE void ss_store_codes(ss_code *out, const ss_i32 *sums, int count, const float *multiplier, const ss_scaling *s) {
    int j = 0;
    SS_UNROLL for (; j + 4 <= count; j += 4) vst1q_s8(out + 4 * j, ss_codes16(sums + j, multiplier + 4 * j, s));
    if (j + 2 <= count) {
        vst1_s8(out + 4 * j, ss_codes8(sums + j, multiplier + 4 * j, s));
        j += 2;
    }
    if (j < count) {
        const float last[8] = {multiplier[4 * j], multiplier[4 * j + 1], multiplier[4 * j + 2], multiplier[4 * j + 3], 0};
        const ss_i32 pair[2] = {sums[j], vdupq_n_s32(0)};
        const int32_t four = vget_lane_s32(vreinterpret_s32_s8(ss_codes8(pair, last, s)), 0);
        memcpy(out + 4 * j, &four, sizeof four);
    }
}
SS_INLINE void ss_store_channels(ss_code *out, const ss_i32 *sums, const float *multiplier, const ss_scaling *s) {
    ss_store_codes(out, sums, 4, multiplier, s);
}
