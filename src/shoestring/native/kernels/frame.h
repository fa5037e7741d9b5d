/* How steps find their data. */
typedef struct {
    char *arena;
    const char *weights;
    const void *const *inputs;
    void *const *outputs;
} ss_frame;

/* A value or a band of it: `at` is the first pixel of row `row`. */
typedef struct {
    char *at;
    int32_t row;
} ss_view;

SS_USED char *ss_row(ss_view v, int32_t row, int32_t row_bytes) { return v.at + (ptrdiff_t)(row - v.row) * row_bytes; }

/* What one thread of several takes of `count` things. */
SS_USED ss_range ss_share(int32_t count, uint32_t thread, uint32_t threads) {
    const int64_t t = thread, n = threads;
    const ss_range r = {(int32_t)(count * t / n), (int32_t)(count * (t + 1) / n)};
    return r;
}

/* Rows [first, last) of an inner value in a buffer of `rows` rows; `ready` is the first row that is not there yet. */
typedef struct {
    char *buffer;
    int32_t rows, row_bytes, height, border;
    int32_t first, ready;
    bool open;
} ss_band;

SS_USED void ss_band_start(ss_band *b) {
    memset(b->buffer, b->border, (size_t)b->rows * (size_t)b->row_bytes);
    b->open = false;
}

/* The input rows that output rows `r` need. */
SS_USED ss_range ss_needed(ss_range r, int32_t stride, int32_t top, int32_t extent) {
    if (r.first >= r.last) return (ss_range){0, 0};
    return (ss_range){r.first * stride - top, (r.last - 1) * stride - top + extent};
}

/* Makes room for rows `need`, keeps those that are there, and answers the rows that have to be computed. Rows outside the
 * image hold the border: those above it since the start, those below it are filled here. */
SS_USED ss_range ss_band_want(ss_band *b, ss_range need) {
    if (need.first >= need.last) return (ss_range){0, 0};
    if (!b->open) {
        b->open = true;
        b->first = need.first;
        b->ready = need.first;
    }
    if (need.first > b->first) {
        const int32_t keep = b->ready - need.first;
        if (keep > 0)
            memmove(b->buffer, b->buffer + (ptrdiff_t)(need.first - b->first) * b->row_bytes,
                    (size_t)keep * (size_t)b->row_bytes);
        else
            b->ready = need.first;
        b->first = need.first;
    }
    if (need.last <= b->ready) return (ss_range){0, 0};
    const ss_range rows = {b->ready > 0 ? b->ready : 0, need.last < b->height ? need.last : b->height};
    const int32_t below = b->ready > b->height ? b->ready : b->height;
    if (need.last > below)
        memset(b->buffer + (ptrdiff_t)(below - b->first) * b->row_bytes, b->border,
               (size_t)(need.last - below) * (size_t)b->row_bytes);
    b->ready = need.last;
    return rows;
}
