/* A module with mistakes: each command makes one, in memory of the server's. */
#include <stddef.h>

typedef int (*command)(void *ctx, void **argv, int argc);

static void *(*allocate)(size_t bytes);
static void (*release)(void *block);
static int (*create_command)(void *ctx, const char *name, command run, const char *flags, int first, int last, int step);
static void (*set_attributes)(void *ctx, const char *name, int version, int api);
static int (*reply)(void *ctx, long long number);

static int overflow(void *ctx, void **argv, int argc) {
    volatile char *block = allocate(48);
    (void)argv;
    block[47 + argc] = 1;
    return reply(ctx, 1);
}

static int use_after_free(void *ctx, void **argv, int argc) {
    volatile char *block = allocate(48);
    (void)argv; (void)argc;
    release((void *)block);
    return reply(ctx, block[7]);
}

static int leak(void *ctx, void **argv, int argc) {
    volatile char *block = allocate(48);
    (void)argv; (void)argc;
    block[0] = 1;
    return reply(ctx, 1);
}

int RedisModule_OnLoad(void *ctx, void **argv, int argc) {
    int (*get_api)(const char *, void *) = (int (*)(const char *, void *))*(void **)ctx;
    (void)argv; (void)argc;
    get_api("RedisModule_Alloc", &allocate);
    get_api("RedisModule_Free", &release);
    get_api("RedisModule_CreateCommand", &create_command);
    get_api("RedisModule_SetModuleAttribs", &set_attributes);
    get_api("RedisModule_ReplyWithLongLong", &reply);
    set_attributes(ctx, "planted", 1, 1);
    create_command(ctx, "planted.overflow", overflow, "", 0, 0, 0);
    create_command(ctx, "planted.use-after-free", use_after_free, "", 0, 0, 0);
    create_command(ctx, "planted.leak", leak, "", 0, 0, 0);
    return 0;
}
