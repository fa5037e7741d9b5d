/* Depthwise convolutions of codes with kernels of up to eight rows.
 *
 * The rows under a kernel column are interleaved four at a time, so that one dot product covers four taps of each channel.
 * A tile of outputs side by side shares its columns. Where a pixel is narrower than a block of 4 * SS_LANES channels,
 * `step` pixels that lie side by side are taken as one. The last tile of a row may repeat outputs of the one before.
 */
typedef struct {
    int32_t in_pixel, in_row, out_pixel, out_row; /* of one input row, one output row */
    int32_t row_stride;                           /* of the convolution */
    int32_t width, channels;                      /* of an output row: superpixels times superchannels */
    int32_t joined;                               /* pixels in a superpixel */
    const int8_t *weights;                        /* [block][column][group of four rows][vector][lane][4] */
    const int32_t *bias;
    ss_scaling scaling;
} ss_depthwise_i8;

#define SS_TILE 4
#define SS_BLOCK_CHANNELS (4 * SS_LANES)

#if !defined(SS_STORES_PARTS)
/* The first `vectors` * SS_LANES channels of a block, from memory. */
SS_STEP void ss_store_part(ss_code *out, const ss_i32 *sums, int32_t vectors, const float *multiplier,
                           const ss_scaling *s) {
    ss_code spare[SS_BLOCK_CHANNELS];
    ss_store_channels(spare, sums, multiplier, s);
    for (int32_t i = 0; i < vectors; i++)
        memcpy(out + (ptrdiff_t)i * SS_LANES, spare + (ptrdiff_t)i * SS_LANES, SS_LANES * sizeof *out);
}
#endif

/* `step`: input pixels from one output (superpixel) to the next. */
SS_INLINE void ss_tile_depthwise_i8(const ss_depthwise_i8 *d, const int KH, const int KW, const int step, const int tile,
                                    const ss_code *in, ss_code *out, const int8_t *w, int32_t first, int32_t vectors) {
    const int groups = (KH + 3) / 4, columns = (tile - 1) * step + KW;
    ss_i32 sums[SS_TILE][4];
    SS_UNROLL for (int j = 0; j < 4; j++) {
        const ss_i32 bias = ss_load_i32(d->bias + first + SS_LANES * j);
        SS_UNROLL for (int t = 0; t < tile; t++) sums[t][j] = bias;
    }
    const ss_code *row[8];
    SS_UNROLL for (int r = 0; r < KH; r++) row[r] = in + (ptrdiff_t)r * d->in_row;
    SS_UNROLL for (int x = 0; x < columns; x++) {
        const ptrdiff_t at = (ptrdiff_t)x * d->in_pixel;
        SS_UNROLL for (int g = 0; g < groups; g++) {
            const ss_code *rows[4];
            SS_UNROLL for (int r = 0; r < 4; r++) /* beyond the kernel: any row, its weights are zero */
                rows[r] = row[4 * g + r < KH ? 4 * g + r : KH - 1] + at;
            ss_columns column[4];
            ss_interleave(rows, column);
            SS_UNROLL for (int t = 0; t < tile; t++) {
                const int k = x - t * step;
                if (k < 0 || k >= KW) continue;
                const int8_t *taps = w + (ptrdiff_t)(k * groups + g) * 16 * SS_LANES;
#if defined(SS_DOTS_BLOCKS)
                ss_dot_block(sums[t], column, taps);
#else
                SS_UNROLL for (int j = 0; j < 4; j++)
                    sums[t][j] = ss_dot_columns(sums[t][j], column[j], ss_load_weights(taps + 4 * SS_LANES * j));
#endif
            }
        }
    }
    const ss_scaling scaling = d->scaling; /* copies: stores of codes may alias what is behind a pointer */
    const ptrdiff_t out_pixel = d->out_pixel;
    const float *multiplier = scaling.multiplier + first;
#if defined(SS_KEEPS_MULTIPLIERS)
    float kept[4 * SS_LANES];
    memcpy(kept, multiplier, sizeof kept);
    multiplier = kept;
#endif
    if (vectors < 4) {
#if defined(SS_STORES_PARTS)
        SS_UNROLL for (int t = 0; t < tile; t++)
            ss_store_part(out + t * out_pixel, sums[t], vectors, multiplier, &scaling);
        return;
#else
        ss_i32 spilled[SS_TILE][4];
        SS_UNROLL for (int t = 0; t < tile; t++) {
            SS_UNROLL for (int j = 0; j < 4; j++) spilled[t][j] = sums[t][j];
        }
        for (int t = 0; t < tile; t++)
            ss_store_part(out + t * out_pixel, spilled[t], vectors, multiplier, &scaling);
        return;
#endif
    }
    if (scaling.open && scaling.zero == SS_LOWEST) {
        const ss_scaling plain = {NULL, scaling.low, scaling.high, SS_LOWEST, true};
        SS_UNROLL for (int t = 0; t < tile; t++)
            ss_store_channels(out + t * out_pixel, sums[t], multiplier, &plain);
        return;
    }
    SS_UNROLL for (int t = 0; t < tile; t++)
        ss_store_channels(out + t * out_pixel, sums[t], multiplier, &scaling);
}

#define SS_DEFINE_DEPTHWISE_I8(KH, KW, STEP, TILE)                                                                     \
    SS_STEP void ss_depthwise_i8_##KH##x##KW##_##STEP##_##TILE(const ss_depthwise_i8 *d, const ss_code *in,             \
                                                               ss_code *out, int32_t rows) {                           \
        const int32_t blocks = (d->channels + SS_BLOCK_CHANNELS - 1) / SS_BLOCK_CHANNELS;                              \
        for (int32_t y = 0; y < rows; y++) {                                                                           \
            for (int32_t b = 0; b < blocks; b++) {                                                                     \
                const int32_t first = b * SS_BLOCK_CHANNELS, left = d->channels - first;                               \
                const int32_t vectors = left >= SS_BLOCK_CHANNELS ? 4 : (left + SS_LANES - 1) / SS_LANES;              \
                const int8_t *w = d->weights + (ptrdiff_t)b * ((KW) * (((KH) + 3) / 4) * 16 * SS_LANES);                \
                for (int32_t x = 0; x < d->width; x += (TILE)) {                                                       \
                    const int32_t at = x + (TILE) <= d->width ? x : d->width - (TILE);                                 \
                    ss_tile_depthwise_i8(d, KH, KW, STEP, TILE,                                                        \
                                         in + (ptrdiff_t)y * d->row_stride * d->in_row +                               \
                                             (ptrdiff_t)at * (STEP) * d->in_pixel + first,                             \
                                         out + (ptrdiff_t)y * d->out_row + (ptrdiff_t)at * d->out_pixel + first, w,     \
                                         first, vectors);                                                              \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
SS_BLOCKS_DEPTHWISE_I8(SS_DEFINE_DEPTHWISE_I8)
