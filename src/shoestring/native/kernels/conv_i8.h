/* Convolutions and matrix products of codes: an implicit GEMM.
 *
 * A pixel's receptive field is `segments` runs of `depth` codes at `offsets` from its first code; weights are packed in
 * panels of up to SS_MAX_VECTORS vectors of output channels, [segment][depth / 4][vector][lane][4]. A block of pixels
 * times a panel stays in registers until it is scaled and stored. The zero point of the input is folded into the bias.
 */
typedef struct {
    const int32_t *offsets;
    int32_t segments, depth;
    int32_t in_pixel, in_row, out_pixel, out_row, width;
    const int8_t *weights;
    const int32_t *bias;
    ss_scaling scaling;
    const uint8_t *panels; /* vectors in each */
    int32_t channels;      /* of the output that are stored; others are padding */
    bool exact;            /* nothing beyond `channels` may be written */
    bool to_f32;
    bool pixels_outside;   /* few weights: pixels in the outer loop, panels in the inner one */
} ss_conv_i8;

SS_INLINE void ss_store_f32_sums(float *out, const ss_i32 *sums, int count, const float *multiplier, const ss_scaling *s) {
    for (int j = 0; j < count; j++) {
        const ss_f32 x = ss_scaled(sums[j], multiplier + SS_LANES * j);
        ss_store_f32(out + SS_LANES * j, ss_clamp_f32(x, s->low, s->high));
    }
}

/* Headers store one, two or four vectors; some store three as well. */
SS_INLINE void ss_store_panel(ss_code *out, const ss_i32 *sums, int count, const float *multiplier, const ss_scaling *s) {
#if !defined(SS_STORES_THREE)
    if (count == 3) {
        ss_store_codes(out, sums, 2, multiplier, s);
        ss_store_codes(out + 2 * SS_LANES, sums + 2, 1, multiplier + 2 * SS_LANES, s);
        return;
    }
#endif
    ss_store_codes(out, sums, count, multiplier, s);
}

/* Outputs that are floats or must not reach beyond the last channel: sums of one pixel, from memory. */
SS_STEP void ss_store_pixel(const ss_conv_i8 *c, void *out, const ss_i32 *sums, int32_t vectors, int32_t first) {
    const float *multiplier = c->scaling.multiplier + first;
    const int32_t left = c->channels - first, count = SS_LANES * vectors;
    const bool partial = c->exact && left < count;
    if (c->to_f32) {
        float *to = (float *)out + first, spare[SS_LANES * SS_MAX_VECTORS];
        ss_store_f32_sums(partial ? spare : to, sums, vectors, multiplier, &c->scaling);
        if (partial) memcpy(to, spare, (size_t)left * sizeof *to);
    } else {
        ss_code *to = (ss_code *)out + first, spare[SS_LANES * SS_MAX_VECTORS];
        ss_store_panel(partial ? spare : to, sums, vectors, multiplier, &c->scaling);
        if (partial) memcpy(to, spare, (size_t)left);
    }
}

SS_INLINE void ss_block_i8(const ss_conv_i8 *c, const int MR, const int NR, const ss_code *const *in, void *const *out,
                           const int8_t *w, int32_t first) {
    ss_i32 sums[SS_MAX_PIXELS][SS_MAX_VECTORS];
    SS_UNROLL for (int j = 0; j < NR; j++) {
        const ss_i32 bias = ss_load_i32(c->bias + first + SS_LANES * j);
        SS_UNROLL for (int i = 0; i < MR; i++) sums[i][j] = bias;
    }
    for (int32_t s = 0; s < c->segments; s++) {
        const int32_t end = c->offsets[s] + c->depth;
        int32_t k = c->offsets[s];
#if defined(SS_SIXTEEN)
        for (; k + 16 <= end; k += 16) {
            ss_sixteen taps[SS_MAX_PIXELS];
            SS_UNROLL for (int i = 0; i < MR; i++) taps[i] = ss_load_sixteen(in[i] + k);
            SS_FOUR_OF_SIXTEEN(0);
            SS_FOUR_OF_SIXTEEN(1);
            SS_FOUR_OF_SIXTEEN(2);
            SS_FOUR_OF_SIXTEEN(3);
            SS_SIXTEEN_DONE(16);
        }
        if (k < end) { /* what is read beyond the run is not used; buffers have room behind them */
            ss_sixteen taps[SS_MAX_PIXELS];
            SS_UNROLL for (int i = 0; i < MR; i++) taps[i] = ss_load_sixteen(in[i] + k);
            SS_FOUR_OF_SIXTEEN(0);
            if (end - k > 4) SS_FOUR_OF_SIXTEEN(1);
            if (end - k > 8) SS_FOUR_OF_SIXTEEN(2);
            SS_SIXTEEN_DONE(end - k);
        }
#else
        for (; k < end; k += 4) {
            ss_weights weights[SS_MAX_VECTORS];
            SS_UNROLL for (int j = 0; j < NR; j++) weights[j] = ss_load_weights(w + 4 * SS_LANES * j);
            w += 4 * SS_LANES * NR;
            SS_UNROLL for (int i = 0; i < MR; i++) {
                const ss_taps a = ss_load_taps(in[i] + k);
                SS_UNROLL for (int j = 0; j < NR; j++) sums[i][j] = ss_dot(sums[i][j], a, weights[j]);
            }
        }
#endif
    }
    if (c->to_f32 || c->exact) {
        ss_i32 spilled[SS_MAX_PIXELS][SS_MAX_VECTORS];
        SS_UNROLL for (int i = 0; i < MR; i++) {
            SS_UNROLL for (int j = 0; j < NR; j++) spilled[i][j] = sums[i][j];
        }
        for (int i = 0; i < MR; i++) ss_store_pixel(c, out[i], spilled[i], NR, first);
        return;
    }
    const float *multiplier = c->scaling.multiplier + first;
#if defined(SS_KEEPS_MULTIPLIERS)
    float kept[SS_LANES * SS_MAX_VECTORS];
    memcpy(kept, multiplier, SS_LANES * (size_t)NR * sizeof *kept);
    multiplier = kept;
#endif
    if (c->scaling.open && c->scaling.zero == SS_LOWEST) { /* most layers: codes that start at zero, bounded by their type */
        const ss_scaling plain = {NULL, c->scaling.low, c->scaling.high, SS_LOWEST, true};
        SS_UNROLL for (int i = 0; i < MR; i++) ss_store_panel((ss_code *)out[i] + first, sums[i], NR, multiplier, &plain);
        return;
    }
    const ss_scaling scaling = c->scaling; /* a copy: stores of codes may alias what is behind a pointer */
    SS_UNROLL for (int i = 0; i < MR; i++) ss_store_panel((ss_code *)out[i] + first, sums[i], NR, multiplier, &scaling);
}

/* One function for each block size in use: SS_BLOCKS lists them, in pixels and vectors. */
#define SS_DEFINE_I8(M, N)                                                                                             \
    SS_STEP void ss_block_i8_##M##x##N(const ss_conv_i8 *c, const ss_code *const *in, void *const *out,                 \
                                       const int8_t *w, int32_t first) {                                               \
        ss_block_i8(c, M, N, in, out, w, first);                                                                       \
    }
SS_BLOCKS_I8(SS_DEFINE_I8)

#define SS_CASE_I8(M, N)                                                                                               \
    case 16 * (M) + (N):                                                                                               \
        ss_block_i8_##M##x##N(c, in, out, w, first);                                                                   \
        break;
SS_USED void ss_any_block_i8(const ss_conv_i8 *c, int32_t pixels, int32_t vectors, const ss_code *const *in,
                             void *const *out, const int8_t *w, int32_t first) {
    switch (16 * pixels + vectors) {
        SS_BLOCKS_I8(SS_CASE_I8)
        default:
            break;
    }
}

/* Walks over pixels, row after row. */
typedef struct {
    const ss_code *in;
    char *out;
    int32_t x;
} ss_walk_i8;

SS_USED void ss_next_pixels_i8(const ss_conv_i8 *c, ss_walk_i8 *walk, int32_t count, const ss_code **in, void **out) {
    const int32_t element = c->to_f32 ? (int32_t)sizeof(float) : 1;
    for (int32_t i = 0; i < count; i++) {
        in[i] = walk->in;
        out[i] = walk->out;
        walk->in += c->in_pixel;
        walk->out += c->out_pixel * element;
        if (++walk->x == c->width) {
            walk->x = 0;
            walk->in += c->in_row - c->width * c->in_pixel;
            walk->out += (c->out_row - c->width * c->out_pixel) * element;
        }
    }
}

/* Rows [0, rows) from `in` to `out`, output panels [first_panel, last_panel). */
SS_STEP void ss_conv_i8_run(const ss_conv_i8 *c, const ss_code *in, void *out, int32_t rows, int32_t first_panel,
                            int32_t last_panel) {
    const int32_t total = rows * c->width, group_bytes = c->segments * c->depth * SS_LANES;
    const ss_code *pixels[SS_MAX_PIXELS];
    void *outs[SS_MAX_PIXELS];
    int32_t panel = first_panel, before = 0;
    for (int32_t p = 0; p < first_panel; p++) before += c->panels[p];
    while (panel < last_panel) {
        /* Pixels outside: all panels for each block. Panels outside: one panel for all blocks. */
        const int32_t stop = c->pixels_outside ? last_panel : panel + 1;
        int32_t widest = 0, vectors_after = before;
        for (int32_t p = panel; p < stop; p++) widest = c->panels[p] > widest ? c->panels[p] : widest;
        const int32_t most = SS_PIXELS(widest), blocks = (total + most - 1) / most;
        ss_walk_i8 walk = {in, (char *)out, 0};
        for (int32_t b = 0; b < blocks; b++) {
            const int32_t count = total / blocks + (b < total % blocks);
            ss_next_pixels_i8(c, &walk, count, pixels, outs);
            vectors_after = before;
            for (int32_t p = panel; p < stop; p++) {
                const int8_t *w = c->weights + (ptrdiff_t)vectors_after * group_bytes;
                ss_any_block_i8(c, count, c->panels[p], pixels, outs, w, vectors_after * SS_LANES);
                vectors_after += c->panels[p];
            }
        }
        before = vectors_after;
        panel = stop;
    }
}
