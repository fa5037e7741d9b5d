/* Whether this processor has the instruction sets that a program was compiled for. */
#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <cpuid.h>

static inline __attribute__((unused)) uint64_t ss_enabled_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
}

/* Bits of CPUID leaves 1 and 7 (Intel SDM, volume 2A, CPUID); wide registers must be enabled by the system too. */
static inline __attribute__((unused)) bool ss_cpu_has(const char *isa) {
    uint32_t a, b, c, d, a7 = 0, b7 = 0, c7 = 0, d7 = 0, a71 = 0, b71 = 0, c71 = 0, d71 = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
    (void)__get_cpuid_count(7, 0, &a7, &b7, &c7, &d7);
    (void)__get_cpuid_count(7, 1, &a71, &b71, &c71, &d71);
    const uint64_t registers = (c & (1u << 27)) != 0 ? ss_enabled_registers() : 0;
    const bool ymm = (registers & 6u) == 6u, zmm = (registers & 0xe6u) == 0xe6u;
    if (__builtin_strcmp(isa, "sse4_1") == 0) return (c & (1u << 19)) != 0;
    if (__builtin_strcmp(isa, "fma") == 0) return ymm && (c & (1u << 12)) != 0;
    if (__builtin_strcmp(isa, "avx2") == 0) return ymm && (b7 & (1u << 5)) != 0;
    if (__builtin_strcmp(isa, "avx_vnni") == 0) return ymm && (a71 & (1u << 4)) != 0;
    if (__builtin_strcmp(isa, "avx512f") == 0) return zmm && (b7 & (1u << 16)) != 0;
    if (__builtin_strcmp(isa, "avx512_vnni") == 0)
        return zmm && (c7 & (1u << 11)) != 0 && (b7 & (1u << 30)) != 0 && (b7 & (1u << 31)) != 0 && (b7 & (1u << 17)) != 0;
    return false;
}
#elif defined(__linux__) && (defined(__aarch64__) || defined(__arm__))
#include <sys/auxv.h>

/* Bits of AT_HWCAP and AT_HWCAP2 (Linux, Documentation/arch/arm64/elf_hwcaps.rst, and asm/hwcap.h of arm). */
static inline __attribute__((unused)) bool ss_cpu_has(const char *isa) {
    const unsigned long caps = getauxval(16), caps2 = getauxval(26);
    (void)caps2;
#if defined(__aarch64__)
    if (__builtin_strcmp(isa, "asimd") == 0) return (caps & (1ul << 1)) != 0;
    if (__builtin_strcmp(isa, "asimddp") == 0) return (caps & (1ul << 20)) != 0;
    if (__builtin_strcmp(isa, "i8mm") == 0) return (caps2 & (1ul << 13)) != 0;
#else
    if (__builtin_strcmp(isa, "neon") == 0) return (caps & (1ul << 12)) != 0;
    if (__builtin_strcmp(isa, "vfpv4") == 0) return (caps & (1ul << 16)) != 0;
#endif
    return false;
}
#else
static inline __attribute__((unused)) bool ss_cpu_has(const char *isa) { return isa == 0; }
#endif
