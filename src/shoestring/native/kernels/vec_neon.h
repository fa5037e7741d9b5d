/* 64-bit NEON without dot products (Cortex-A53, A57, A72). 32 registers: sums, weights, four of taps, two of products. */
#define SS_MAX_VECTORS 6
#define SS_MAX_PIXELS 8
#define SS_PIXELS(vectors)                                                                                             \
    ((vectors) == 6 ? 3 : (vectors) == 5 ? 4 : (vectors) == 4 ? 5 : (vectors) == 3 ? 6 : 8)

/* Sixteen codes of every pixel at once. Loads move their pointers, and all of it is volatile: compilers would load all
 * weights of sixteen steps first and spill the sums. The taps of the next pixel are loaded before this one's are used. */
#define SS_SIXTEEN
typedef const ss_code *ss_sixteen;
SS_INLINE ss_sixteen ss_load_sixteen(const ss_code *p) { return p; }
SS_INLINE ss_taps ss_next_taps(const ss_code **p) {
    ss_taps r;
    __asm__ volatile("ld1r {%0.8h}, [%2], #2\n\tld1r {%1.8h}, [%2], #2"
                     : "=&w"(r.first), "=w"(r.second), "+r"(*p)
                     : "m"(*(const ss_code(*)[4])*p));
    return r;
}
SS_INLINE void ss_next_weights(const int8_t **p, ss_weights *w, const int count) {
    SS_UNROLL for (int j = 0; j + 2 <= count; j += 2)
        __asm__ volatile("ldp %q0, %q1, [%2], #32" : "=&w"(w[j]), "=w"(w[j + 1]), "+r"(*p) : "m"(*(const int8_t(*)[32])*p));
    if (count % 2 == 1)
        __asm__ volatile("ldr %q0, [%1], #16" : "=w"(w[count - 1]), "+r"(*p) : "m"(*(const int8_t(*)[16])*p));
}
#define SS_FOUR_OF_SIXTEEN(Q)                                                                                          \
    do {                                                                                                               \
        ss_weights weights[SS_MAX_VECTORS];                                                                            \
        ss_taps next = ss_next_taps(&taps[0]);                                                                         \
        ss_next_weights(&w, weights, NR);                                                                              \
        SS_UNROLL for (int i = 0; i < MR; i++) {                                                                       \
            const ss_taps a = next;                                                                                    \
            if (i + 1 < MR) next = ss_next_taps(&taps[i + 1]);                                                         \
            SS_UNROLL for (int j = 0; j + 2 <= NR; j += 2) ss_dot_two(sums[i] + j, a, weights + j);                     \
            if (NR % 2 == 1) sums[i][NR - 1] = ss_dot(sums[i][NR - 1], a, weights[NR - 1]);                            \
        }                                                                                                              \
    } while (0)
#define SS_SIXTEEN_DONE(CODES) (void)0
