/* Loads a module as a Redis before 7.0 would: the functions that came with 7.0 are not there.
 * Prints what the module logs; the exit code is what its OnLoad returned. */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct context { void *get_api; };

static void no_attributes(struct context *ctx, const char *name, int version, int api) {
    (void)ctx; (void)name; (void)version; (void)api;
}

static int no_name_is_busy(const char *name) { (void)name; return 0; }

static void to_stdout(struct context *ctx, const char *level, const char *format, ...) {
    va_list arguments;
    (void)ctx;
    printf("%s: ", level);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

static const struct { const char *name; void *function; } known[] = {
    {"RedisModule_Alloc", malloc},
    {"RedisModule_Calloc", calloc},
    {"RedisModule_Realloc", realloc},
    {"RedisModule_Free", free},
    {"RedisModule_SetModuleAttribs", no_attributes},
    {"RedisModule_IsModuleNameBusy", no_name_is_busy},
    {"RedisModule_Log", to_stdout},
};

static int get_api(const char *name, void **target) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name) == 0) {
            *target = known[i].function;
            return 0;
        }
    }
    return 1;
}

int main(int argc, char **argv) {
    struct context ctx = {get_api};
    void *module = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    int (*on_load)(struct context *, void **, int);
    if (module == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    *(void **)&on_load = dlsym(module, "RedisModule_OnLoad");
    return on_load == NULL ? 2 : on_load(&ctx, NULL, 0);
}
