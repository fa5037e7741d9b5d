/* Depthwise convolutions of codes with any kernel, stride and dilation: one tap after the other, for compilers to vectorise. */
typedef struct {
    int32_t in_pixel, in_row, out_pixel, out_row; /* from one output to the next, strides included */
    int32_t tap_column, tap_row;                  /* from one tap to the next, dilations included */
    int32_t kernel_height, kernel_width, width, channels;
    const int8_t *weights; /* [tap][channel] */
    const int32_t *bias;
    ss_scaling scaling;
    bool to_f32;
} ss_depthwise_any_i8;

#define SS_RUN_CHANNELS 64

SS_USED void ss_depthwise_pixel_i8(const ss_depthwise_any_i8 *d, const ss_code *in, void *out, int32_t first, int32_t count,
                                   int32_t pitch) {
    uint32_t sums[SS_RUN_CHANNELS]; /* unsigned: partial sums may wrap */
    for (int32_t c = 0; c < count; c++) sums[c] = (uint32_t)d->bias[first + c];
    for (int32_t ky = 0; ky < d->kernel_height; ky++) {
        for (int32_t kx = 0; kx < d->kernel_width; kx++) {
            const ss_code *x = in + (ptrdiff_t)ky * d->tap_row + (ptrdiff_t)kx * d->tap_column + first;
            const int8_t *w = d->weights + (ptrdiff_t)(ky * d->kernel_width + kx) * pitch + first;
            for (int32_t c = 0; c < count; c++) sums[c] += (uint32_t)(x[c] * w[c]);
        }
    }
    for (int32_t c = 0; c < count; c++) {
        int32_t sum;
        memcpy(&sum, &sums[c], sizeof sum);
        const float scaled = (float)sum * d->scaling.multiplier[first + c];
        if (d->to_f32)
            ((float *)out)[first + c] = ss_at_most(ss_at_least(scaled, d->scaling.low), d->scaling.high);
        else
            ((ss_code *)out)[first + c] = ss_to_code(scaled, d->scaling.low, d->scaling.high, d->scaling.zero);
    }
}

SS_STEP void ss_depthwise_any_i8_run(const ss_depthwise_any_i8 *d, const ss_code *in, void *out, int32_t rows) {
    const ptrdiff_t element = d->to_f32 ? (ptrdiff_t)sizeof(float) : 1;
    for (int32_t y = 0; y < rows; y++) {
        for (int32_t x = 0; x < d->width; x++) {
            const ss_code *from = in + (ptrdiff_t)y * d->in_row + (ptrdiff_t)x * d->in_pixel;
            char *to = (char *)out + ((ptrdiff_t)y * d->out_row + (ptrdiff_t)x * d->out_pixel) * element;
            for (int32_t first = 0; first < d->channels; first += SS_RUN_CHANNELS) {
                const int32_t left = d->channels - first;
                const int32_t count = left < SS_RUN_CHANNELS ? left : SS_RUN_CHANNELS;
                ss_depthwise_pixel_i8(d, from, to, first, count, d->channels);
            }
        }
    }
}
