/* Convolutions and matrix products of floats: as conv_i8.h, with one float a lane. Every output adds its products in the
 * order of the weights, starting at the bias. Runs are exactly as long as the channels, so that no product of padding
 * lanes is added (it could turn -0.0 into 0.0). */
typedef struct {
    const int32_t *offsets;
    int32_t segments, depth;
    int32_t in_pixel, in_row, out_pixel, out_row, width;
    const float *weights; /* [panel][segment][depth][vector][lane] */
    const float *bias;
    float low, high;
    bool clamps;
    const uint8_t *panels;
    int32_t channels;
    bool exact, pixels_outside;
} ss_conv_f32;

SS_INLINE void ss_block_f32(const ss_conv_f32 *c, const int MR, const int NR, const float *const *in, float *const *out,
                            const float *w, int32_t first) {
    ss_f32 sums[SS_MAX_PIXELS][SS_MAX_VECTORS];
    SS_UNROLL for (int j = 0; j < NR; j++) {
        const ss_f32 bias = ss_load_f32(c->bias + first + SS_LANES * j);
        SS_UNROLL for (int i = 0; i < MR; i++) sums[i][j] = bias;
    }
    for (int32_t s = 0; s < c->segments; s++) {
        const int32_t end = c->offsets[s] + c->depth;
        for (int32_t k = c->offsets[s]; k < end; k++) {
            ss_f32 weights[SS_MAX_VECTORS];
            SS_UNROLL for (int j = 0; j < NR; j++) weights[j] = ss_load_f32(w + SS_LANES * j);
            w += SS_LANES * NR;
            SS_UNROLL for (int i = 0; i < MR; i++) {
                const ss_f32 a = ss_set_f32(in[i][k]);
                SS_UNROLL for (int j = 0; j < NR; j++) sums[i][j] = ss_mul_add(sums[i][j], a, weights[j]);
            }
        }
    }
    const int32_t left = c->channels - first;
    const bool partial = c->exact && left < SS_LANES * NR;
    SS_UNROLL for (int i = 0; i < MR; i++) {
        SS_UNROLL for (int j = 0; j < NR; j++) {
            const ss_f32 x = c->clamps ? ss_clamp_f32(sums[i][j], c->low, c->high) : sums[i][j];
            if (!partial) {
                ss_store_f32(out[i] + first + SS_LANES * j, x);
            } else if (left > SS_LANES * j) {
                float spare[SS_LANES];
                ss_store_f32(spare, x);
                const int32_t count = left - SS_LANES * j < SS_LANES ? left - SS_LANES * j : SS_LANES;
                memcpy(out[i] + first + SS_LANES * j, spare, (size_t)count * sizeof(float));
            }
        }
    }
}

#define SS_DEFINE_F32(M, N)                                                                                            \
    SS_STEP void ss_block_f32_##M##x##N(const ss_conv_f32 *c, const float *const *in, float *const *out, const float *w, \
                                        int32_t first) {                                                               \
        ss_block_f32(c, M, N, in, out, w, first);                                                                      \
    }
SS_BLOCKS_F32(SS_DEFINE_F32)

#define SS_CASE_F32(M, N)                                                                                              \
    case 16 * (M) + (N):                                                                                               \
        ss_block_f32_##M##x##N(c, in, out, w, first);                                                                  \
        break;
SS_USED void ss_any_block_f32(const ss_conv_f32 *c, int32_t pixels, int32_t vectors, const float *const *in,
                              float *const *out, const float *w, int32_t first) {
    switch (16 * pixels + vectors) {
        SS_BLOCKS_F32(SS_CASE_F32)
        default:
            break;
    }
}

typedef struct {
    const float *in;
    float *out;
    int32_t x;
} ss_walk_f32;

SS_USED void ss_next_pixels_f32(const ss_conv_f32 *c, ss_walk_f32 *walk, int32_t count, const float **in, float **out) {
    for (int32_t i = 0; i < count; i++) {
        in[i] = walk->in;
        out[i] = walk->out;
        walk->in += c->in_pixel;
        walk->out += c->out_pixel;
        if (++walk->x == c->width) {
            walk->x = 0;
            walk->in += c->in_row - c->width * c->in_pixel;
            walk->out += c->out_row - c->width * c->out_pixel;
        }
    }
}

/* Rows [0, rows) from `in` to `out`, output panels [first_panel, last_panel). */
SS_STEP void ss_conv_f32_run(const ss_conv_f32 *c, const float *in, float *out, int32_t rows, int32_t first_panel,
                             int32_t last_panel) {
    const int32_t total = rows * c->width, group_floats = c->segments * c->depth * SS_LANES;
    const float *pixels[SS_MAX_PIXELS];
    float *outs[SS_MAX_PIXELS];
    int32_t panel = first_panel, before = 0;
    for (int32_t p = 0; p < first_panel; p++) before += c->panels[p];
    while (panel < last_panel) {
        const int32_t stop = c->pixels_outside ? last_panel : panel + 1;
        int32_t widest = 0, vectors_after = before;
        for (int32_t p = panel; p < stop; p++) widest = c->panels[p] > widest ? c->panels[p] : widest;
        const int32_t most = SS_PIXELS(widest), blocks = (total + most - 1) / most;
        ss_walk_f32 walk = {in, out, 0};
        for (int32_t b = 0; b < blocks; b++) {
            const int32_t count = total / blocks + (b < total % blocks);
            ss_next_pixels_f32(c, &walk, count, pixels, outs);
            vectors_after = before;
            for (int32_t p = panel; p < stop; p++) {
                const float *w = c->weights + (ptrdiff_t)vectors_after * group_floats;
                ss_any_block_f32(c, count, c->panels[p], pixels, outs, w, vectors_after * SS_LANES);
                vectors_after += c->panels[p];
            }
        }
        before = vectors_after;
        panel = stop;
    }
}
