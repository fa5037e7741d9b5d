/* 32-bit NEON with VFPv4 (Cortex-A7 and later). 16 registers: sums, weights, two of taps, one of products. */
#define SS_MAX_VECTORS 4
#define SS_MAX_PIXELS 4
#define SS_PIXELS(vectors) ((vectors) == 4 ? 2 : (vectors) == 3 ? 3 : 4)
