/* What every kernel uses. Strides count elements, not bytes, unless a name says so. */
#include <stdbool.h>
#include <string.h>

#define SS_INLINE static inline __attribute__((always_inline, unused))
#define SS_STEP static __attribute__((noinline, unused))

/* Loops over registers must be unrolled, or the registers live in memory. */
#if defined(__clang__)
#define SS_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SS_UNROLL _Pragma("GCC unroll 16")
#endif
#define SS_USED static inline __attribute__((unused))

/* Codes are stored as they are, or shifted by 128 where an instruction set multiplies signed by signed. */
#if SS_SIGNED
typedef int8_t ss_code;
#define SS_LOWEST (-128)
#else
typedef uint8_t ss_code;
#define SS_LOWEST 0
#endif

/* Nearest integer, ties to even, for |x| < 2^22: adding 1.5 * 2^23 leaves the rounded value in the low bits. */
SS_USED float ss_rint(float x) {
    const float magic = 12582912.0f;
    return (x + magic) - magic;
}

SS_USED float ss_at_least(float x, float low) { return x > low ? x : low; }
SS_USED float ss_at_most(float x, float high) { return x < high ? x : high; }

/* A code in storage form from a scaled float: clamp first, then round. The bounds are integers, relative to the zero
 * point, so the order makes no difference, and a NaN gives `low`. `zero` is in storage form. */
SS_USED ss_code ss_to_code(float x, float low, float high, int32_t zero) {
    return (ss_code)((int32_t)ss_rint(ss_at_most(ss_at_least(x, low), high)) + zero);
}

/* The rows of a step that one thread computes: [first, last). */
typedef struct {
    int32_t first, last;
} ss_range;

/* How sums become outputs. Bounds are relative to the zero point; `zero` is in storage form. */
typedef struct {
    const float *multiplier;
    float low, high;
    int32_t zero;
    bool open; /* the bounds are those of the code's type: saturation alone clamps */
} ss_scaling;
