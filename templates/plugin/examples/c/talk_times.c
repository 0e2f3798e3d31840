/*
 * The same plugin in C11, without any library: one line per call with its sequence, id and talk time.
 * Configuration: {"path": "/where/lines/go"}.
 */
#include "callmeter_plugin.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

CALLMETER_PLUGIN_NOTE("talk-times-c", "0.1.0");

typedef struct instance {
    FILE *file;
    uint64_t last; /* the last batch that was accepted */
} instance;

static int32_t fail(callmeter_error *error, int32_t status, const char *what) {
    int n = snprintf((char *)error->msg, sizeof error->msg, "%s: %s", what, strerror(errno));
    error->len = n < 0 ? 0 : (uint32_t)n < sizeof error->msg ? (uint32_t)n : sizeof error->msg - 1;
    return status;
}

/* A column found by name: its array, and the index of row 0 in the column's buffers. */
typedef struct column {
    const struct ArrowArray *array;
    int64_t base;
} column;

static int find(const callmeter_batch *batch, const char *name, const char *format, column *out) {
    for (int64_t i = 0; i < batch->schema->n_children; i++) {
        const struct ArrowSchema *field = batch->schema->children[i];
        if (strcmp(field->name, name) == 0 && strcmp(field->format, format) == 0) {
            out->array = batch->array->children[i];
            /* Both offsets count: the column's own and the batch's. */
            out->base = out->array->offset + batch->array->offset;
            return 1;
        }
    }
    return 0;
}

static int is_null(const column *c, int64_t row) {
    const uint8_t *valid = c->array->buffers[0];
    int64_t at = c->base + row;
    return valid != NULL && !(valid[at / 8] >> (at % 8) & 1);
}

static int32_t create(const callmeter_host *host, callmeter_str config, callmeter_str name,
                      void **out, callmeter_error *error) {
    (void)host, (void)name;
    char path[1024];
    char json[1200];
    if (config.len >= sizeof json)
        return fail(error, CALLMETER_FATAL, "the configuration is too long");
    memcpy(json, config.ptr, config.len);
    json[config.len] = 0;
    /* Enough for one plain path; a real plugin needs a JSON parser. */
    const char *key = strstr(json, "\"path\"");
    if (!key || sscanf(key + 6, " : \"%1023[^\"]\"", path) != 1)
        return errno = EINVAL, fail(error, CALLMETER_FATAL, "the configuration has no `path`");
    instance *self = calloc(1, sizeof *self);
    if (!self)
        return fail(error, CALLMETER_FATAL, "no memory");
    self->file = fopen(path, "a");
    if (!self->file) {
        free(self);
        return fail(error, CALLMETER_FATAL, "cannot open the file at `path`");
    }
    *out = self;
    return CALLMETER_OK;
}

static int32_t write_batch(void *instance_, const callmeter_batch *batch, callmeter_error *error) {
    instance *self = instance_;
    column sequence, id, talk;
    if (batch->kind != CALLMETER_CALLS) {
        self->last = batch->seq;
        return CALLMETER_OK;
    }
    if (!find(batch, "sequence", "l", &sequence) || !find(batch, "id", "u", &id) ||
        !find(batch, "talk_ms", "l", &talk))
        return errno = EINVAL, fail(error, CALLMETER_REJECT, "a column is missing");
    const int64_t *sequences = sequence.array->buffers[1];
    const int32_t *ends = id.array->buffers[1];
    const char *text = id.array->buffers[2];
    const int64_t *times = talk.array->buffers[1];
    for (int64_t row = 0; row < batch->array->length; row++) {
        fprintf(self->file, "%" PRId64 " ", sequences[sequence.base + row]);
        if (is_null(&id, row)) {
            fputs("- ", self->file);
        } else {
            int32_t from = ends[id.base + row], to = ends[id.base + row + 1];
            if (to > from) /* text may be NULL when all of it is empty */
                fwrite(text + from, 1, (size_t)(to - from), self->file);
            fputc(' ', self->file);
        }
        if (is_null(&talk, row))
            fputs("-\n", self->file);
        else
            fprintf(self->file, "%" PRId64 "\n", times[talk.base + row]);
    }
    if (ferror(self->file))
        return clearerr(self->file), fail(error, CALLMETER_RETRY, "cannot write");
    self->last = batch->seq;
    return CALLMETER_OK;
}

static int32_t flush(void *instance_, uint64_t deadline_ms, uint64_t *durable,
                     callmeter_error *error) {
    instance *self = instance_;
    (void)deadline_ms;
    if (fflush(self->file) != 0 || fdatasync(fileno(self->file)) != 0)
        return fail(error, CALLMETER_FATAL, "cannot sync");
    *durable = self->last;
    return CALLMETER_OK;
}

static void destroy(void *instance_) {
    instance *self = instance_;
    fclose(self->file);
    free(self);
}

int32_t callmeter_output_plugin_init_v1(const callmeter_host *host, callmeter_output_plugin *out,
                                        callmeter_error *error) {
    (void)error;
    if (host->abi_major != CALLMETER_ABI_MAJOR)
        return CALLMETER_UNSUPPORTED_ABI;
    const callmeter_output_plugin table = {
        .struct_size = sizeof table,
        .abi_major = CALLMETER_ABI_MAJOR,
        .name = "talk-times-c",
        .version = "0.1.0",
        .config_schema = "{\"type\":\"object\",\"required\":[\"path\"]}",
        .create = create,
        .write_batch = write_batch,
        .flush = flush,
        .destroy = destroy,
    };
    CALLMETER_FILL(out, table);
    return CALLMETER_OK;
}
