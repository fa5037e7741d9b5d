/* Windows without weights. Rows are absolute, since windows are cut off at the image's edges. */
typedef struct {
    int32_t in_pixel, in_row, out_pixel, out_row, in_height, in_width, width, pitch;
    int32_t kernel_height, kernel_width, stride_y, stride_x, top, left, bottom, right;
    bool count_pads;
    float ratio;     /* average of codes: input scale over output scale */
    int32_t zero_in; /* storage form */
    float low, high;
    int32_t zero;
} ss_pool;

typedef struct {
    int32_t y0, y1, x0, x1, count;
} ss_window;

SS_USED int32_t ss_min(int32_t a, int32_t b) { return a < b ? a : b; }
SS_USED int32_t ss_max(int32_t a, int32_t b) { return a > b ? a : b; }

SS_USED ss_window ss_window_at(const ss_pool *p, int32_t y, int32_t x) {
    const int32_t top = y * p->stride_y - p->top, left = x * p->stride_x - p->left;
    const ss_window w = {ss_max(top, 0), ss_min(top + p->kernel_height, p->in_height), ss_max(left, 0),
                         ss_min(left + p->kernel_width, p->in_width), 0};
    ss_window r = w;
    r.count = (w.y1 - w.y0) * (w.x1 - w.x0);
    if (p->count_pads)
        r.count = (ss_min(top + p->kernel_height, p->in_height + p->bottom) - top) *
                  (ss_min(left + p->kernel_width, p->in_width + p->right) - left);
    return r;
}

/* `in` is row `in_first` of the image, `out` the first of the wanted rows [first, last). Channels are taken in runs of a
 * constant length, so that the largest values stay in registers. */
#define SS_DEFINE_MAX(NAME, TYPE)                                                                                      \
    SS_INLINE void ss_max_run_##NAME(const ss_pool *p, const ss_window *w, const TYPE *in, TYPE *to, const int run) {  \
        TYPE best[64];                                                                                                 \
        for (int c = 0; c < run; c++) best[c] = in[c];                                                                 \
        for (int32_t y = 0; y < w->y1 - w->y0; y++) {                                                                  \
            for (int32_t x = 0; x < w->x1 - w->x0; x++) {                                                              \
                const TYPE *from = in + (ptrdiff_t)y * p->in_row + (ptrdiff_t)x * p->in_pixel;                         \
                for (int c = 0; c < run; c++) best[c] = from[c] > best[c] ? from[c] : best[c];                         \
            }                                                                                                          \
        }                                                                                                              \
        for (int c = 0; c < run; c++) to[c] = best[c];                                                                 \
    }                                                                                                                  \
    SS_STEP void ss_max_pool_##NAME(const ss_pool *p, const TYPE *in, int32_t in_first, TYPE *out, int32_t first,      \
                                    int32_t last) {                                                                    \
        for (int32_t y = first; y < last; y++) {                                                                       \
            for (int32_t x = 0; x < p->width; x++) {                                                                   \
                const ss_window w = ss_window_at(p, y, x);                                                             \
                TYPE *to = out + (ptrdiff_t)(y - first) * p->out_row + (ptrdiff_t)x * p->out_pixel;                    \
                const TYPE *from =                                                                                     \
                    in + (ptrdiff_t)(w.y0 - in_first) * p->in_row + (ptrdiff_t)w.x0 * p->in_pixel;                     \
                int32_t c = 0;                                                                                         \
                for (; c + 64 <= p->pitch; c += 64) ss_max_run_##NAME(p, &w, from + c, to + c, 64);                    \
                for (; c + 16 <= p->pitch; c += 16) ss_max_run_##NAME(p, &w, from + c, to + c, 16);                    \
                for (; c < p->pitch; c += 4) ss_max_run_##NAME(p, &w, from + c, to + c, 4);                            \
            }                                                                                                          \
        }                                                                                                              \
    }
SS_DEFINE_MAX(i8, ss_code)
SS_DEFINE_MAX(f32, float)

#define SS_POOL_RUN 64

SS_USED void ss_average_pixel_i8(const ss_pool *p, const ss_window *w, const ss_code *in, int32_t in_first,
                                 ss_code *to) {
    const float m = p->ratio / (float)w->count;
    for (int32_t first = 0; first < p->pitch; first += SS_POOL_RUN) {
        const int32_t run = ss_min(SS_POOL_RUN, p->pitch - first);
        int32_t sums[SS_POOL_RUN] = {0};
        for (int32_t wy = w->y0; wy < w->y1; wy++) {
            for (int32_t wx = w->x0; wx < w->x1; wx++) {
                const ss_code *from = in + (ptrdiff_t)(wy - in_first) * p->in_row + (ptrdiff_t)wx * p->in_pixel + first;
                for (int32_t c = 0; c < run; c++) sums[c] += from[c] - p->zero_in;
            }
        }
        for (int32_t c = 0; c < run; c++) to[first + c] = ss_to_code((float)sums[c] * m, p->low, p->high, p->zero);
    }
}

SS_USED void ss_average_pixel_f32(const ss_pool *p, const ss_window *w, const float *in, int32_t in_first,
                                  float *to) {
    for (int32_t c = 0; c < p->pitch; c++) to[c] = 0.0f;
    for (int32_t wy = w->y0; wy < w->y1; wy++) {
        for (int32_t wx = w->x0; wx < w->x1; wx++) {
            const float *from = in + (ptrdiff_t)(wy - in_first) * p->in_row + (ptrdiff_t)wx * p->in_pixel;
            for (int32_t c = 0; c < p->pitch; c++) to[c] += from[c];
        }
    }
    for (int32_t c = 0; c < p->pitch; c++) to[c] /= (float)w->count;
}

#define SS_DEFINE_AVERAGE(NAME, TYPE)                                                                                  \
    SS_STEP void ss_average_pool_##NAME(const ss_pool *p, const TYPE *in, int32_t in_first, TYPE *out, int32_t first,  \
                                        int32_t last) {                                                                \
        for (int32_t y = first; y < last; y++) {                                                                       \
            for (int32_t x = 0; x < p->width; x++) {                                                                   \
                const ss_window w = ss_window_at(p, y, x);                                                             \
                ss_average_pixel_##NAME(p, &w, in, in_first,                                                               \
                                        out + (ptrdiff_t)(y - first) * p->out_row + (ptrdiff_t)x * p->out_pixel);      \
            }                                                                                                          \
        }                                                                                                              \
    }
SS_DEFINE_AVERAGE(i8, ss_code)
SS_DEFINE_AVERAGE(f32, float)

/* Resize: every output row and column names its source, or two of them and the part of the second. */
typedef struct {
    const int32_t *rows, *columns, *rows2, *columns2;
    const float *row_part, *column_part;
    int32_t in_pixel, in_row, out_pixel, out_row, width, pitch;
} ss_resize;

#define SS_DEFINE_NEAREST(NAME, TYPE)                                                                                  \
    SS_STEP void ss_nearest_##NAME(const ss_resize *r, const TYPE *in, TYPE *out, int32_t first, int32_t last) {       \
        for (int32_t y = first; y < last; y++) {                                                                       \
            TYPE *to = out + (ptrdiff_t)y * r->out_row;                                                                \
            const TYPE *from = in + (ptrdiff_t)r->rows[y] * r->in_row;                                                 \
            for (int32_t x = 0; x < r->width; x++, to += r->out_pixel)                                                 \
                memcpy(to, from + (ptrdiff_t)r->columns[x] * r->in_pixel, (size_t)r->pitch * sizeof(TYPE));            \
        }                                                                                                              \
    }
SS_DEFINE_NEAREST(i8, ss_code)
SS_DEFINE_NEAREST(f32, float)

SS_USED ss_code ss_rounded_i8(float x) { return (ss_code)(int32_t)ss_rint(x); }
SS_USED float ss_rounded_f32(float x) { return x; }

#define SS_DEFINE_BILINEAR(NAME, TYPE)                                                                                 \
    SS_STEP void ss_bilinear_##NAME(const ss_resize *r, const TYPE *in, TYPE *out, int32_t first, int32_t last) {      \
        for (int32_t y = first; y < last; y++) {                                                                       \
            const TYPE *up = in + (ptrdiff_t)r->rows[y] * r->in_row, *down = in + (ptrdiff_t)r->rows2[y] * r->in_row;   \
            const float cy = r->row_part[y];                                                                           \
            for (int32_t x = 0; x < r->width; x++) {                                                                   \
                TYPE *to = out + (ptrdiff_t)y * r->out_row + (ptrdiff_t)x * r->out_pixel;                              \
                const ptrdiff_t left = (ptrdiff_t)r->columns[x] * r->in_pixel;                                         \
                const ptrdiff_t right = (ptrdiff_t)r->columns2[x] * r->in_pixel;                                       \
                const float cx = r->column_part[x];                                                                    \
                for (int32_t c = 0; c < r->pitch; c++) {                                                               \
                    const float a = (float)up[left + c], b = (float)down[left + c];                                    \
                    const float top = a + ((float)up[right + c] - a) * cx;                                             \
                    const float bottom = b + ((float)down[right + c] - b) * cx;                                        \
                    to[c] = ss_rounded_##NAME(top + (bottom - top) * cy);                                              \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
SS_DEFINE_BILINEAR(i8, ss_code)
SS_DEFINE_BILINEAR(f32, float)
