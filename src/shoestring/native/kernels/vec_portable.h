/* Vectors of four lanes in plain C. The definition that every other vec_*.h must equal bit for bit. */
#define SS_LANES 4
#define SS_MAX_VECTORS 1  /* vectors of output channels in a panel */
#define SS_MAX_PIXELS 2
#define SS_PIXELS(vectors) 2 /* pixels in a block beside so many vectors */

typedef struct { int32_t v[4]; } ss_i32;
typedef struct { float v[4]; } ss_f32;
typedef struct { int8_t b[16]; } ss_weights; /* four lanes of four taps */
typedef struct { ss_code b[4]; } ss_taps;    /* four codes, the same for all lanes */
typedef struct { ss_code b[16]; } ss_columns; /* four lanes of four codes */

SS_INLINE ss_i32 ss_load_i32(const int32_t *p) {
    ss_i32 r;
    memcpy(r.v, p, sizeof r.v);
    return r;
}
SS_INLINE ss_weights ss_load_weights(const int8_t *p) {
    ss_weights r;
    memcpy(r.b, p, sizeof r.b);
    return r;
}
SS_INLINE ss_taps ss_load_taps(const ss_code *p) {
    ss_taps r;
    memcpy(r.b, p, sizeof r.b);
    return r;
}
/* Sums wrap: the folded zero point may take a partial sum out of int32 and a later term back. */
SS_INLINE int32_t ss_wrapping(int32_t a, int32_t b) {
    const uint32_t sum = (uint32_t)a + (uint32_t)b;
    int32_t r;
    memcpy(&r, &sum, sizeof r);
    return r;
}
SS_INLINE ss_i32 ss_dot(ss_i32 sum, ss_taps a, ss_weights w) {
    for (int i = 0; i < 4; i++) {
        int32_t s = a.b[0] * w.b[4 * i] + a.b[1] * w.b[4 * i + 1];
        s += a.b[2] * w.b[4 * i + 2] + a.b[3] * w.b[4 * i + 3];
        sum.v[i] = ss_wrapping(sum.v[i], s);
    }
    return sum;
}
SS_INLINE ss_i32 ss_dot_columns(ss_i32 sum, ss_columns a, ss_weights w) {
    for (int i = 0; i < 4; i++) {
        int32_t s = a.b[4 * i] * w.b[4 * i] + a.b[4 * i + 1] * w.b[4 * i + 1];
        s += a.b[4 * i + 2] * w.b[4 * i + 2] + a.b[4 * i + 3] * w.b[4 * i + 3];
        sum.v[i] = ss_wrapping(sum.v[i], s);
    }
    return sum;
}
/* Four rows of 16 channels -> four vectors: vector i holds channels 4 i .. 4 i + 3, four taps each. */
SS_INLINE void ss_interleave(const ss_code *const rows[4], ss_columns out[4]) {
    for (int i = 0; i < 4; i++)
        for (int e = 0; e < 4; e++)
            for (int t = 0; t < 4; t++) out[i].b[4 * e + t] = rows[t][4 * i + e];
}
SS_INLINE ss_f32 ss_scaled(ss_i32 sum, const float *multiplier) {
    ss_f32 r;
    for (int i = 0; i < 4; i++) r.v[i] = (float)sum.v[i] * multiplier[i];
    return r;
}
/* `count` vectors (1, 2 or 4) of sums to count * SS_LANES codes. */
SS_INLINE void ss_store_codes(ss_code *out, const ss_i32 *sums, int count, const float *multiplier, const ss_scaling *s) {
    for (int j = 0; j < count; j++) {
        const ss_f32 x = ss_scaled(sums[j], multiplier + 4 * j);
        for (int i = 0; i < 4; i++) out[4 * j + i] = ss_to_code(x.v[i], s->low, s->high, s->zero);
    }
}
/* The four vectors of a block of channels. */
SS_INLINE void ss_store_channels(ss_code *out, const ss_i32 *sums, const float *multiplier, const ss_scaling *s) {
    for (int i = 0; i < 4; i++) ss_store_codes(out + 4 * i, sums + i, 1, multiplier + 4 * i, s);
}
SS_INLINE ss_f32 ss_load_f32(const float *p) {
    ss_f32 r;
    memcpy(r.v, p, sizeof r.v);
    return r;
}
SS_INLINE void ss_store_f32(float *p, ss_f32 x) { memcpy(p, x.v, sizeof x.v); }
SS_INLINE ss_f32 ss_set_f32(float x) { return (ss_f32){{x, x, x, x}}; }
SS_INLINE ss_f32 ss_mul_add(ss_f32 sum, ss_f32 a, ss_f32 b) {
#if SS_FUSED
    for (int i = 0; i < 4; i++) sum.v[i] = fmaf(a.v[i], b.v[i], sum.v[i]);
#else
    for (int i = 0; i < 4; i++) sum.v[i] = sum.v[i] + a.v[i] * b.v[i];
#endif
    return sum;
}
SS_INLINE ss_f32 ss_clamp_f32(ss_f32 x, float low, float high) {
    for (int i = 0; i < 4; i++) x.v[i] = ss_at_most(ss_at_least(x.v[i], low), high);
    return x;
}
