/*
 * callmeter_plugin.h - the C ABI of callmeter's output plugins, major 1. C11 or C++17.
 *
 * A plugin is a shared library that holds an ELF note (CALLMETER_PLUGIN_NOTE) and exports one
 * function, callmeter_output_plugin_init_v1. See docs/PLUGINS.md for the rules in full. In short:
 *
 *  - Structs only grow at their end. Each side sets its own struct_size; fill no more than the
 *    other side offers (CALLMETER_FILL does this). A member that a side does not know is zero,
 *    which means the default.
 *  - The schema of a batch is borrowed. You may take the array: copy the struct, set release = NULL
 *    in the original, and call release on the copy later. The host releases what you do not take.
 *  - Look columns up by name. Allow for `offset`, the validity bitmap, and the parent's offset.
 *  - Calls on one instance never overlap, except cancel. No call may throw, exit or fork.
 *  - The library is never unloaded: link it with -z nodelete.
 */
#ifndef CALLMETER_PLUGIN_H
#define CALLMETER_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CALLMETER_ABI_MAJOR 1
#define CALLMETER_ABI_MINOR 1

/* The Arrow C Data Interface, with the include guard from its specification. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif /* ARROW_C_DATA_INTERFACE */

/* Text: UTF-8, counted, not zero-terminated, valid for the call only. */
typedef struct callmeter_str {
    const char *ptr;
    size_t len;
} callmeter_str;

/* What a function returns. Any other number counts as RETRY, and twice in a row as FATAL. */
enum {
    CALLMETER_OK = 0,             /* accepted, not necessarily durable yet */
    CALLMETER_RETRY = 1,          /* nothing accepted, or unknown: the batch is sent again */
    CALLMETER_REJECT = 2,         /* this batch will never succeed: it becomes a dead letter */
    CALLMETER_FATAL = 3,          /* the instance failed: a new one gets what is not durable */
    CALLMETER_UNSUPPORTED_ABI = 4 /* from init only */
};

/* callmeter_batch.kind. Answer OK to a kind that you do not know. */
enum {
    CALLMETER_CALLS = 1,
    CALLMETER_BALANCES = 2,
    CALLMETER_RATES = 3,
    CALLMETER_BILLING = 4,
    CALLMETER_CHARGES = 5
};

enum {
    CALLMETER_LOG_ERROR = 1,
    CALLMETER_LOG_WARN = 2,
    CALLMETER_LOG_INFO = 3,
    CALLMETER_LOG_DEBUG = 4,
    CALLMETER_LOG_TRACE = 5
};

/* What the host offers. It and ctx stay valid until the process ends; any thread may call. */
typedef struct callmeter_host {
    uint32_t struct_size;
    uint16_t abi_major, abi_minor;
    uint64_t features; /* none defined yet */
    void *ctx;
    void (*log)(void *ctx, int32_t level, callmeter_str target, callmeter_str message);
    int32_t (*log_enabled)(void *ctx, int32_t level);
    int32_t (*cancelled)(void *ctx); /* nonzero: give up the call in progress */
} callmeter_host;

/* Allocated and owned by the host; valid for the call only. Must not quote the configuration. */
typedef struct callmeter_error {
    uint32_t struct_size;
    uint32_t len;            /* bytes used of msg */
    uint64_t retry_after_ms; /* with RETRY; 0 leaves it to the host */
    uint8_t msg[1008];       /* UTF-8 */
} callmeter_error;

typedef struct callmeter_batch {
    uint32_t struct_size;
    uint32_t kind;
    uint64_t seq;         /* 1, 2, 3, ... within the instance: what flush acknowledges */
    uint8_t batch_id[16]; /* the same every time this batch is sent: an idempotency key */
    uint32_t attempt;     /* 1, 2, 3, ... */
    uint32_t schema_id;   /* changes when schema points to another schema */
    const struct ArrowSchema *schema; /* borrowed; lives as long as the instance */
    struct ArrowArray *array;         /* a struct array: one child per column; may be taken */
} callmeter_batch;

typedef struct callmeter_output_plugin {
    uint32_t struct_size;     /* in: bytes offered; out: bytes filled */
    uint16_t abi_major;       /* CALLMETER_ABI_MAJOR */
    uint16_t abi_minor;       /* the lowest minor that the plugin needs */
    uint64_t features;        /* none defined yet */
    const char *name;         /* static, as in the note */
    const char *version;      /* static, as in the note */
    const char *config_schema; /* static JSON Schema, or NULL */
    /* config_json and instance_name are valid for the call only. */
    int32_t (*create)(const callmeter_host *host, callmeter_str config_json,
                      callmeter_str instance_name, void **instance, callmeter_error *error);
    int32_t (*write_batch)(void *instance, const callmeter_batch *batch, callmeter_error *error);
    /* *durable_seq = the last seq that is safe (fsync, 2xx). REJECT rejects the batch after it. */
    int32_t (*flush)(void *instance, uint64_t deadline_ms, uint64_t *durable_seq,
                     callmeter_error *error);
    void (*cancel)(void *instance); /* may overlap another call; NULL = none */
    void (*destroy)(void *instance); /* joins its threads */
    /* Checks a configuration without an instance, and changes nothing. Since minor 1; NULL = none. */
    int32_t (*check)(const callmeter_host *host, callmeter_str config_json, callmeter_error *error);
} callmeter_output_plugin;

#if defined(__GNUC__)
#define CALLMETER_EXPORT __attribute__((visibility("default")))
#else
#define CALLMETER_EXPORT
#endif

/* Define this function: fill *out with CALLMETER_FILL and return CALLMETER_OK. */
CALLMETER_EXPORT int32_t callmeter_output_plugin_init_v1(const callmeter_host *host,
                                                         callmeter_output_plugin *out,
                                                         callmeter_error *error);

/* Copies `table` (a filled callmeter_output_plugin) to `out`, as much as the host has room for. */
#define CALLMETER_FILL(out, table)                                                                 \
    do {                                                                                           \
        uint32_t callmeter_room = (out)->struct_size;                                              \
        uint32_t callmeter_have = (uint32_t)sizeof(table);                                         \
        uint32_t callmeter_n = callmeter_room < callmeter_have ? callmeter_room : callmeter_have;  \
        const unsigned char *callmeter_from = (const unsigned char *)&(table);                     \
        unsigned char *callmeter_to = (unsigned char *)(out);                                      \
        for (uint32_t callmeter_i = 0; callmeter_i < callmeter_n; callmeter_i++)                   \
            callmeter_to[callmeter_i] = callmeter_from[callmeter_i];                               \
        (out)->struct_size = callmeter_n;                                                          \
    } while (0)

/* The note that the host reads before it loads the file. Use it once, at file scope:
 *     CALLMETER_PLUGIN_NOTE("csv", "0.3.1");
 * Letters, digits and . _ + - only. */
typedef struct callmeter_note {
    uint32_t owner_len, desc_len, note_type;
    char owner[12];
    char desc[128];
} callmeter_note;

#define CALLMETER_PLUGIN_NOTE(name, version)                                                       \
    extern __attribute__((visibility("hidden"))) const callmeter_note callmeter_plugin_note_;      \
    __attribute__((section(".note.callmeter"), used, aligned(4)))                                  \
    const callmeter_note callmeter_plugin_note_ = {                                                \
        10, 128, 1, "callmeter", "abi=1.0;kind=output;name=" name ";ver=" version}

#ifdef __cplusplus
}
#endif

#endif /* CALLMETER_PLUGIN_H */
