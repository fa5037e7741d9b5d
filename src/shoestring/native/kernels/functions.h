/* Elementary functions, step for step those of functions.py: float32 operations, each rounded once. */
SS_USED float ss_exp(float x) {
    x = ss_at_most(ss_at_least(x, -87.0f), 88.0f);
    const float n = ss_rint(x * 1.44269504f);
    const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = (p * (r * r) + r) + 1.0f;
    const int32_t bits = ((int32_t)n + 127) * (1 << 23);
    float two_n;
    memcpy(&two_n, &bits, sizeof two_n);
    return p * two_n;
}
SS_USED float ss_sigmoid(float x) { return 1.0f / (1.0f + ss_exp(-x)); }
SS_USED float ss_tanh(float x) { return 1.0f - 2.0f / (ss_exp(2.0f * x) + 1.0f); }
SS_USED float ss_hard(float x, float a, float b) { return ss_at_most(ss_at_least(a * x + b, 0.0f), 1.0f); }

typedef struct {
    float a, b;
} ss_parameters;

SS_USED float ss_f_clip(float x, ss_parameters p) { return ss_at_most(ss_at_least(x, p.a), p.b); }
SS_USED float ss_f_leaky_relu(float x, ss_parameters p) { return x < 0.0f ? p.a * x : x; }
SS_USED float ss_f_sigmoid(float x, ss_parameters p) { return (void)p, ss_sigmoid(x); }
SS_USED float ss_f_hard_sigmoid(float x, ss_parameters p) { return ss_hard(x, p.a, p.b); }
SS_USED float ss_f_hard_swish(float x, ss_parameters p) { return (void)p, x * ss_hard(x, 1.0f / 6.0f, 0.5f); }
SS_USED float ss_f_silu(float x, ss_parameters p) { return (void)p, x * ss_sigmoid(x); }
SS_USED float ss_f_tanh(float x, ss_parameters p) { return (void)p, ss_tanh(x); }
SS_USED float ss_f_exp(float x, ss_parameters p) { return (void)p, ss_exp(x); }
SS_USED float ss_f_sqrt(float x, ss_parameters p) { return (void)p, sqrtf(x); }
SS_USED float ss_f_neg(float x, ss_parameters p) { return (void)p, -x; }
SS_USED float ss_f_abs(float x, ss_parameters p) { return (void)p, fabsf(x); }
