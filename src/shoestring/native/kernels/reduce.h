/* Softmax over one axis and products of two activations. */
typedef struct {
    int32_t count; /* along the axis */
    ss_loops loops; /* over all other axes, a: input, out: output; size[5] is 1 */
    int32_t in_step, out_step; /* along the axis */
} ss_softmax;

SS_STEP void ss_softmax_run(const ss_softmax *s, const float *in, float *out) {
    int32_t index[5] = {0, 0, 0, 0, 0};
    ptrdiff_t i = 0, j = 0, k = 0;
    do {
        float most = in[i], sum = 0.0f;
        for (int32_t n = 1; n < s->count; n++) most = ss_at_least(in[i + (ptrdiff_t)n * s->in_step], most);
        for (int32_t n = 0; n < s->count; n++) {
            const float e = ss_exp(in[i + (ptrdiff_t)n * s->in_step] - most);
            out[k + (ptrdiff_t)n * s->out_step] = e;
            sum += e;
        }
        for (int32_t n = 0; n < s->count; n++) out[k + (ptrdiff_t)n * s->out_step] /= sum;
    } while (ss_advance(&s->loops, index, &i, &j, &k));
}

/* (M, K) x (K, N) for every index of the outer axes, whose strides are in `loops`. */
typedef struct {
    ss_loops loops; /* over the outer axes; size[5] is 1 */
    int32_t m, n, k, a_row, a_column, b_row, b_column, out_row, out_column;
    int32_t zero_a, zero_b;
    float multiplier, low, high;
    int32_t zero;
    bool to_f32;
} ss_matmul;

SS_USED int32_t ss_matmul_sum_i8(const ss_matmul *p, const ss_code *a, const ss_code *b) {
    int32_t sum = 0;
    for (int32_t k = 0; k < p->k; k++)
        sum += (a[(ptrdiff_t)k * p->a_column] - p->zero_a) * (b[(ptrdiff_t)k * p->b_row] - p->zero_b);
    return sum;
}

SS_STEP void ss_matmul_i8_run(const ss_matmul *p, const ss_code *a, const ss_code *b, void *out) {
    int32_t index[5] = {0, 0, 0, 0, 0};
    ptrdiff_t i = 0, j = 0, k = 0;
    do {
        for (int32_t m = 0; m < p->m; m++) {
            for (int32_t n = 0; n < p->n; n++) {
                const ss_code *row = a + i + (ptrdiff_t)m * p->a_row, *column = b + j + (ptrdiff_t)n * p->b_column;
                const float x = (float)ss_matmul_sum_i8(p, row, column) * p->multiplier;
                const ptrdiff_t at = k + (ptrdiff_t)m * p->out_row + (ptrdiff_t)n * p->out_column;
                if (p->to_f32)
                    ((float *)out)[at] = x;
                else
                    ((ss_code *)out)[at] = ss_to_code(x, p->low, p->high, p->zero);
            }
        }
    } while (ss_advance(&p->loops, index, &i, &j, &k));
}

SS_USED float ss_mul_add_scalar(float sum, float a, float b) {
#if SS_FUSED
    return fmaf(a, b, sum);
#else
    return sum + a * b;
#endif
}

SS_STEP void ss_matmul_f32_run(const ss_matmul *p, const float *a, const float *b, float *out) {
    int32_t index[5] = {0, 0, 0, 0, 0};
    ptrdiff_t i = 0, j = 0, k = 0;
    do {
        for (int32_t m = 0; m < p->m; m++) {
            for (int32_t n = 0; n < p->n; n++) {
                float sum = 0.0f;
                for (int32_t x = 0; x < p->k; x++)
                    sum = ss_mul_add_scalar(sum, a[i + (ptrdiff_t)m * p->a_row + (ptrdiff_t)x * p->a_column],
                                            b[j + (ptrdiff_t)x * p->b_row + (ptrdiff_t)n * p->b_column]);
                out[k + (ptrdiff_t)m * p->out_row + (ptrdiff_t)n * p->out_column] = sum;
            }
        }
    } while (ss_advance(&p->loops, index, &i, &j, &k));
}
