/* Operators that look at one element of each input: runs of elements side by side. */

typedef struct {
    float scale; /* of the codes */
    int32_t zero; /* storage form */
    float low, high; /* of the code's type, relative to the zero point */
} ss_affine;

SS_USED void ss_quantize_run(const ss_affine *q, const float *in, ss_code *out, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i++) out[i] = ss_to_code(in[i] / q->scale, q->low, q->high, q->zero);
}

SS_USED void ss_dequantize_run(const ss_affine *q, const ss_code *in, float *out, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i++) out[i] = (float)(in[i] - q->zero) * q->scale;
}

/* The table is indexed by the stored byte and holds stored bytes. */
SS_USED void ss_table_run(const ss_code *table, const ss_code *in, ss_code *out, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i++) out[i] = table[(uint8_t)in[i]];
}

typedef struct {
    int32_t zero_a, zero_b;
    float ratio_a, ratio_b; /* add: of either input; mul: `ratio_a` of the product */
    float low, high;
    int32_t zero;
} ss_binary_i8;

SS_USED ss_code ss_add_i8(const ss_binary_i8 *p, ss_code a, ss_code b) {
    const float x = (float)(a - p->zero_a) * p->ratio_a, y = (float)(b - p->zero_b) * p->ratio_b;
    return ss_to_code(x + y, p->low, p->high, p->zero);
}
SS_USED ss_code ss_sub_i8(const ss_binary_i8 *p, ss_code a, ss_code b) {
    const float x = (float)(a - p->zero_a) * p->ratio_a, y = (float)(b - p->zero_b) * p->ratio_b;
    return ss_to_code(x - y, p->low, p->high, p->zero);
}
SS_USED ss_code ss_mul_i8(const ss_binary_i8 *p, ss_code a, ss_code b) {
    const float x = (float)((a - p->zero_a) * (b - p->zero_b)) * p->ratio_a;
    return ss_to_code(x, p->low, p->high, p->zero);
}

typedef struct {
    float low, high;
    bool clamps;
} ss_binary_f32;

SS_USED float ss_bounded(const ss_binary_f32 *p, float x) {
    return p->clamps ? ss_at_most(ss_at_least(x, p->low), p->high) : x;
}
SS_USED float ss_add_f32(const ss_binary_f32 *p, float a, float b) { return ss_bounded(p, a + b); }
SS_USED float ss_sub_f32(const ss_binary_f32 *p, float a, float b) { return ss_bounded(p, a - b); }
SS_USED float ss_mul_f32(const ss_binary_f32 *p, float a, float b) { return ss_bounded(p, a * b); }
SS_USED float ss_div_f32(const ss_binary_f32 *p, float a, float b) { return ss_bounded(p, a / b); }

/* Loops over up to six axes; an input that is broadcast has stride 0. The last axis is the innermost. */
typedef struct {
    int32_t size[6], a[6], b[6], out[6];
} ss_loops;

SS_INLINE bool ss_advance(const ss_loops *l, int32_t *index, ptrdiff_t *a, ptrdiff_t *b, ptrdiff_t *out) {
    for (int axis = 4; axis >= 0; axis--) {
        *a += l->a[axis];
        *b += l->b[axis];
        *out += l->out[axis];
        if (++index[axis] < l->size[axis]) return true;
        *a -= (ptrdiff_t)l->a[axis] * l->size[axis];
        *b -= (ptrdiff_t)l->b[axis] * l->size[axis];
        *out -= (ptrdiff_t)l->out[axis] * l->size[axis];
        index[axis] = 0;
    }
    return false;
}

/* `run`: elements side by side. `loops`: any strides, broadcasting included. */
#define SS_DEFINE_BINARY(NAME, TYPE, PARAMETERS)                                                                       \
    SS_USED void ss_##NAME##_run(const PARAMETERS *p, const TYPE *a, const TYPE *b, TYPE *out, ptrdiff_t count) {       \
        for (ptrdiff_t i = 0; i < count; i++) out[i] = ss_##NAME(p, a[i], b[i]);                                       \
    }                                                                                                                  \
    SS_USED void ss_##NAME##_loops(const PARAMETERS *p, const ss_loops *l, const TYPE *a, const TYPE *b, TYPE *out) {   \
        int32_t index[5] = {0, 0, 0, 0, 0};                                                                            \
        ptrdiff_t i = 0, j = 0, k = 0;                                                                                 \
        do {                                                                                                           \
            for (int32_t x = 0; x < l->size[5]; x++)                                                                   \
                out[k + (ptrdiff_t)x * l->out[5]] =                                                                    \
                    ss_##NAME(p, a[i + (ptrdiff_t)x * l->a[5]], b[j + (ptrdiff_t)x * l->b[5]]);                        \
        } while (ss_advance(l, index, &i, &j, &k));                                                                    \
    }
#if !defined(SS_ADD_CODES)
#define SS_ADD_CODES(p, a, b, out, count) 0 /* a header may add the first codes of a run in its own way */
#endif
SS_DEFINE_BINARY(add_i8, ss_code, ss_binary_i8)
/* Residual sums: most of what is left between the convolutions. */
SS_USED void ss_add_i8_fast(const ss_binary_i8 *p, const ss_code *a, const ss_code *b, ss_code *out, ptrdiff_t count) {
    const ptrdiff_t done = SS_ADD_CODES(p, a, b, out, count);
    ss_add_i8_run(p, a + done, b + done, out + done, count - done);
}
SS_DEFINE_BINARY(sub_i8, ss_code, ss_binary_i8)
SS_DEFINE_BINARY(mul_i8, ss_code, ss_binary_i8)
SS_DEFINE_BINARY(add_f32, float, ss_binary_f32)
SS_DEFINE_BINARY(sub_f32, float, ss_binary_f32)
SS_DEFINE_BINARY(mul_f32, float, ss_binary_f32)
SS_DEFINE_BINARY(div_f32, float, ss_binary_f32)

#define SS_DEFINE_UNARY(NAME)                                                                                          \
    SS_USED void ss_##NAME##_run(ss_parameters p, const float *in, float *out, ptrdiff_t count) {                      \
        for (ptrdiff_t i = 0; i < count; i++) out[i] = ss_f_##NAME(in[i], p);                                          \
    }
SS_DEFINE_UNARY(clip)
SS_DEFINE_UNARY(leaky_relu)
SS_DEFINE_UNARY(sigmoid)
SS_DEFINE_UNARY(hard_sigmoid)
SS_DEFINE_UNARY(hard_swish)
SS_DEFINE_UNARY(silu)
SS_DEFINE_UNARY(tanh)
SS_DEFINE_UNARY(exp)
SS_DEFINE_UNARY(sqrt)
SS_DEFINE_UNARY(neg)
SS_DEFINE_UNARY(abs)
