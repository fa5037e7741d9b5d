/* Copies between layouts: transposes, slices, concatenations, padding, reshapes, and what enters and leaves. */

#define SS_DEFINE_COPY(NAME, TYPE)                                                                                     \
    SS_USED void ss_copy_##NAME(const ss_loops *l, const TYPE *in, TYPE *out) {                                        \
        int32_t index[5] = {0, 0, 0, 0, 0};                                                                            \
        ptrdiff_t i = 0, j = 0, k = 0;                                                                                 \
        do {                                                                                                           \
            if (l->a[5] == 1 && l->out[5] == 1) {                                                                      \
                memcpy(out + k, in + i, (size_t)l->size[5] * sizeof(TYPE));                                            \
            } else {                                                                                                   \
                for (int32_t x = 0; x < l->size[5]; x++)                                                               \
                    out[k + (ptrdiff_t)x * l->out[5]] = in[i + (ptrdiff_t)x * l->a[5]];                                \
            }                                                                                                          \
        } while (ss_advance(l, index, &i, &j, &k));                                                                    \
    }
SS_DEFINE_COPY(i8, ss_code)
SS_DEFINE_COPY(f32, float)

/* Elements in the order of a list of offsets: reshapes that no loops can describe. */
SS_USED void ss_gather_i8(const int32_t *from, const int32_t *to, int32_t count, const ss_code *in, ss_code *out) {
    for (int32_t i = 0; i < count; i++) out[to[i]] = in[from[i]];
}
SS_USED void ss_gather_f32(const int32_t *from, const int32_t *to, int32_t count, const float *in, float *out) {
    for (int32_t i = 0; i < count; i++) out[to[i]] = in[from[i]];
}

/* Adds `shift` to every byte, modulo 256: between codes as callers see them and as they are stored. */
SS_USED void ss_shift_bytes(const ss_loops *l, int32_t shift, const uint8_t *in, uint8_t *out) {
    int32_t index[5] = {0, 0, 0, 0, 0};
    ptrdiff_t i = 0, j = 0, k = 0;
    do {
        for (int32_t x = 0; x < l->size[5]; x++)
            out[k + (ptrdiff_t)x * l->out[5]] = (uint8_t)(in[i + (ptrdiff_t)x * l->a[5]] + shift);
    } while (ss_advance(l, index, &i, &j, &k));
}

/* An image's planes of floats to pixels of codes, rows [0, rows). */
typedef struct {
    ss_affine affine;
    int32_t plane, in_row, out_pixel, out_row, width, channels;
} ss_planes;

#define SS_PLANE_RUN 128
SS_STEP void ss_quantize_planes(const ss_planes *p, const float *in, ss_code *out, int32_t rows) {
    for (int32_t y = 0; y < rows; y++) {
        for (int32_t x = 0; x < p->width; x += SS_PLANE_RUN) {
            const int32_t count = p->width - x < SS_PLANE_RUN ? p->width - x : SS_PLANE_RUN;
            ss_code *to = out + (ptrdiff_t)y * p->out_row + (ptrdiff_t)x * p->out_pixel;
            const float *from = in + (ptrdiff_t)y * p->in_row + x;
            if (p->out_pixel == 4) { /* up to four channels: build whole pixels */
                ss_code codes[4][SS_PLANE_RUN] = {{0}};
                for (int32_t c = 0; c < p->channels; c++)
                    ss_quantize_run(&p->affine, from + (ptrdiff_t)c * p->plane, codes[c], count);
                for (int32_t i = 0; i < count; i++) {
                    to[4 * i] = codes[0][i];
                    to[4 * i + 1] = codes[1][i];
                    to[4 * i + 2] = codes[2][i];
                    to[4 * i + 3] = codes[3][i];
                }
                continue;
            }
            for (int32_t c = 0; c < p->channels; c++) {
                ss_code codes[SS_PLANE_RUN];
                ss_quantize_run(&p->affine, from + (ptrdiff_t)c * p->plane, codes, count);
                for (int32_t i = 0; i < count; i++) to[(ptrdiff_t)i * p->out_pixel + c] = codes[i];
            }
        }
    }
}

/* Fills the border around rows [first, last) of an image of `height` rows; its top and bottom belong to the end rows. */
typedef struct {
    int32_t top, left, bottom, right, height;
    int32_t pixel_bytes, row_bytes;
    int32_t value; /* a stored byte; floats are zero */
} ss_border;

SS_USED void ss_fill_border(const ss_border *b, char *image, int32_t first, int32_t last) {
    char *row = image + (ptrdiff_t)(first + b->top) * b->row_bytes;
    if (first == 0) memset(image, b->value, (size_t)b->top * (size_t)b->row_bytes);
    for (int32_t y = first; y < last; y++, row += b->row_bytes) {
        memset(row, b->value, (size_t)b->left * (size_t)b->pixel_bytes);
        const size_t right = (size_t)b->right * (size_t)b->pixel_bytes;
        memset(row + b->row_bytes - right, b->value, right);
    }
    if (last == b->height) memset(row, b->value, (size_t)b->bottom * (size_t)b->row_bytes);
}
