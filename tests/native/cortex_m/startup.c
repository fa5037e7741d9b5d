/* What runs before main on a Cortex-M with a floating-point unit. */
#include <stdint.h>
#include <string.h>

#include "semihosting.h"

extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[], stack_top[];
int main(void);
void reset(void);

#define CPACR (*(volatile uint32_t *)0xE000ED88u)

static void fault(void) {
    say("fault: the processor took an exception\n");
    leave(3);
}

void reset(void) {
    CPACR |= 0xFu << 20; /* floating-point unit on, before any instruction of it */
    __asm volatile("dsb\n isb" ::: "memory");
    memcpy(data_start, data_load, (size_t)((char *)data_end - (char *)data_start));
    memset(bss_start, 0, (size_t)((char *)bss_end - (char *)bss_start));
    leave(main());
}

__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    (void (*)(void))stack_top, reset, fault, fault, fault, fault, fault,
};
