/* Arm semihosting: a program on a bare processor asks its debugger (here QEMU) for files, words and an exit.
 * Arm IHI "Semihosting for AArch32 and AArch64", 2.0. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stddef.h>
#include <stdint.h>

enum { SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };
enum { MODE_READ = 1, MODE_WRITE = 5 };

static inline int32_t semihost(int32_t operation, const void *block) {
    register int32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = block;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
static inline void say(const char *words) { semihost(SYS_WRITE0, words); }
__attribute__((noreturn)) static inline void leave(int code) {
    const uint32_t block[2] = {0x20026u /* application exit */, (uint32_t)code};
    semihost(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}
static inline int32_t open_file(const char *name, size_t length, uint32_t mode) {
    const uint32_t block[3] = {(uint32_t)(uintptr_t)name, mode, (uint32_t)length};
    return semihost(SYS_OPEN, block);
}
/* Bytes that were left over: 0 is success. */
static inline int32_t transfer(int32_t operation, int32_t file, const void *data, size_t length) {
    const uint32_t block[3] = {(uint32_t)file, (uint32_t)(uintptr_t)data, (uint32_t)length};
    return semihost(operation, block);
}
static inline void close_file(int32_t file) {
    const uint32_t block[1] = {(uint32_t)file};
    semihost(SYS_CLOSE, block);
}

#endif
