/* Depthwise convolutions of floats: a tile of outputs side by side, one vector of channels after the other. */
typedef struct {
    int32_t in_pixel, in_row, out_pixel, out_row; /* from one output to the next, strides included */
    int32_t tap_column, tap_row;                  /* from one tap to the next, dilations included */
    int32_t kernel_height, kernel_width, width, channels;
    const float *weights; /* [tap][channel, padded to 16] */
    const float *bias;
    float low, high;
    bool clamps;
} ss_depthwise_f32;

#define SS_TILE_F32 6

SS_INLINE void ss_tile_depthwise_f32(const ss_depthwise_f32 *d, const int tile, const float *in, float *out, int32_t first,
                                     int32_t pitch) {
    ss_f32 sums[SS_TILE_F32];
    for (int t = 0; t < tile; t++) sums[t] = ss_load_f32(d->bias + first);
    const float *w = d->weights + first;
    for (int32_t ky = 0; ky < d->kernel_height; ky++) {
        for (int32_t kx = 0; kx < d->kernel_width; kx++) {
            const float *x = in + (ptrdiff_t)ky * d->tap_row + (ptrdiff_t)kx * d->tap_column + first;
            const ss_f32 weights = ss_load_f32(w);
            w += pitch;
            for (int t = 0; t < tile; t++)
                sums[t] = ss_mul_add(sums[t], ss_load_f32(x + (ptrdiff_t)t * d->in_pixel), weights);
        }
    }
    const int32_t left = d->channels - first;
    for (int t = 0; t < tile; t++) {
        const ss_f32 x = d->clamps ? ss_clamp_f32(sums[t], d->low, d->high) : sums[t];
        float *to = out + (ptrdiff_t)t * d->out_pixel + first;
        if (left >= SS_LANES) {
            ss_store_f32(to, x);
        } else { /* the next pixel may be another thread's */
            float spare[SS_LANES];
            ss_store_f32(spare, x);
            memcpy(to, spare, (size_t)left * sizeof *to);
        }
    }
}

SS_STEP void ss_depthwise_f32_run(const ss_depthwise_f32 *d, const float *in, float *out, int32_t rows) {
    const int32_t pitch = (d->channels + 15) / 16 * 16;
    for (int32_t y = 0; y < rows; y++) {
        const float *from = in + (ptrdiff_t)y * d->in_row;
        float *to = out + (ptrdiff_t)y * d->out_row;
        for (int32_t first = 0; first < d->channels; first += SS_LANES) {
            int32_t x = 0;
            for (; x + SS_TILE_F32 <= d->width; x += SS_TILE_F32)
                ss_tile_depthwise_f32(d, SS_TILE_F32, from + (ptrdiff_t)x * d->in_pixel, to + (ptrdiff_t)x * d->out_pixel,
                                      first, pitch);
            for (; x < d->width; x++)
                ss_tile_depthwise_f32(d, 1, from + (ptrdiff_t)x * d->in_pixel, to + (ptrdiff_t)x * d->out_pixel, first,
                                      pitch);
        }
    }
}
