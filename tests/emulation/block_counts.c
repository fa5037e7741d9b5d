/* A plugin of QEMU 7.2 and later (interface 1): how often every block of translated instructions ran.
 *
 *     gcc -O2 -shared -fPIC -o block_counts.so block_counts.c
 *     qemu-aarch64 -plugin ./block_counts.so,out=FILE PROGRAM
 *
 * FILE holds one line for each block: how often it ran, then its instructions as hexadecimal bytes in memory order.
 * It counts from start to exit, or between two marks: a guest program (user emulation only) calls
 * getpriority(0, 0x51050001) to start counting anew and getpriority(0, 0x51050002) to stop.
 * Counts are exact for one guest thread. Distributions ship no qemu-plugin.h, so its declarations stand here.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int add_u64, void *, uint64_t);
extern void qemu_plugin_register_vcpu_syscall_cb(plugin_id, void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t,
                                                                     uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                                                     uint64_t));
extern void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);

EXPORTED int qemu_plugin_version = 1;

enum { GETPRIORITY_ARM = 96, GETPRIORITY_GENERIC = 141, LONGEST = 8, ADD_U64 = 0 };
static const uint32_t START = 0x51050001u, STOP = 0x51050002u;

typedef struct block {
    uint64_t runs;
    struct block *next;
    size_t instructions;
    struct instruction {
        uint8_t size, bytes[LONGEST];
    } code[];
} block;

static block *blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *out;
static bool written;

static void translated(plugin_id id, struct qemu_plugin_tb *tb) {
    (void)id;
    const size_t n = qemu_plugin_tb_n_insns(tb);
    block *b = calloc(1, sizeof *b + n * sizeof b->code[0]);
    if (b == NULL) abort();
    b->instructions = n;
    for (size_t i = 0; i < n; i++) {
        const struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const size_t size = qemu_plugin_insn_size(insn);
        b->code[i].size = (uint8_t)(size < LONGEST ? size : LONGEST);
        memcpy(b->code[i].bytes, qemu_plugin_insn_data(insn), b->code[i].size);
    }
    pthread_mutex_lock(&lock);
    b->next = blocks;
    blocks = b;
    pthread_mutex_unlock(&lock);
    qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &b->runs, 1);
}

static void write_counts(void) {
    FILE *file = out ? fopen(out, "w") : NULL;
    if (file == NULL) {
        fprintf(stderr, "block_counts: cannot write %s\n", out ? out : "(no out=FILE given)");
        return;
    }
    for (const block *b = blocks; b; b = b->next) {
        if (b->runs == 0) continue;
        fprintf(file, "%llu", (unsigned long long)b->runs);
        for (size_t i = 0; i < b->instructions; i++) {
            fputc(' ', file);
            for (size_t k = 0; k < b->code[i].size; k++) fprintf(file, "%02x", b->code[i].bytes[k]);
        }
        fputc('\n', file);
    }
    fclose(file);
    written = true;
}

static void called(plugin_id id, unsigned vcpu, int64_t number, uint64_t which, uint64_t who, uint64_t c, uint64_t d,
                   uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
    (void)id, (void)vcpu, (void)which, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number != GETPRIORITY_ARM && number != GETPRIORITY_GENERIC) return;
    pthread_mutex_lock(&lock);
    if ((uint32_t)who == START)
        for (block *b = blocks; b; b = b->next) b->runs = 0;
    else if ((uint32_t)who == STOP && !written)
        write_counts();
    pthread_mutex_unlock(&lock);
}

static void ended(plugin_id id, void *data) {
    (void)id, (void)data;
    if (!written) write_counts();
}

EXPORTED int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "out=", 4) == 0) out = strdup(argv[i] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
