// A libcuda.so.1 without a GPU, for LibCudaTests.cs. It keeps books instead of computing: which handles exist, which context is
// current on which thread, what was recorded and executed, in the order of the calls. It breaks the first rule that a call does not
// keep to, in words: fake_violation(). Device memory is host memory. Errors come from fake_fail().
//
// WITHOUT_FLAGS leaves out cuGraphInstantiateWithFlags, as drivers before CUDA 11.4 do; WITHOUT_GRAPHS also cuGraphInstantiate_v2.
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define EXPORT __attribute__((visibility("default")))

enum { CONTEXT = 1, MEMORY, HOST, MODULE, FUNCTION, STREAM, GRAPH, EXEC, EVENT };
enum { INVALID_VALUE = 1, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_CONTEXT = 201, INVALID_PTX = 218,
    INVALID_HANDLE = 400, NOT_FOUND = 500, CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901, WRONG_THREAD = 908 };
enum { SPOILED = 2 };

typedef struct {
    int kind;
    uintptr_t handle;
    size_t size;        // of memory
    char text[64];      // a function's name
    uintptr_t owner;    // a function's module
    int shared;         // a function's permitted dynamic shared memory
    int capturing;      // of a stream
    pthread_t capturer;
    struct op *ops;     // of a stream that captures, a graph and what can be executed
    int op_count;
} thing;

typedef struct op { char what; uintptr_t to, from; size_t size; char *line; } op;

static pthread_mutex_t books = PTHREAD_MUTEX_INITIALIZER;
static thing things[4096];
static int thing_count;
static uintptr_t next_handle = 0x1000;
static char journal[1 << 20], violation[512];
static size_t journal_length;
static int initialized, retained, device_count = 1, driver_version = 12040, major = 8, minor = 6;
static char device_name[256] = "Fake GPU";
static char failing[64];
static int failing_code, failing_after;
static int sticky;
static const uintptr_t primary = 0xC0DE;

static __thread uintptr_t stack[16];
static __thread int depth;

static void note(const char *format, ...) {
    va_list list;
    va_start(list, format);
    if (journal_length < sizeof journal - 4096) journal_length += vsnprintf(journal + journal_length, 4096, format, list);
    va_end(list);
}

static void broken(const char *format, ...) {
    va_list list;
    va_start(list, format);
    if (!violation[0]) vsnprintf(violation, sizeof violation, format, list);
    va_end(list);
}

static thing *find(int kind, uintptr_t handle) {
    for (int i = 0; i < thing_count; i++) if (things[i].kind == kind && things[i].handle == handle) return &things[i];
    return NULL;
}

static thing *add(int kind, uintptr_t handle) {
    for (int i = 0; i <= thing_count && i < COUNT(things); i++) {
        if (i < thing_count && things[i].kind) continue;
        memset(&things[i], 0, sizeof things[i]);
        things[i].kind = kind;
        things[i].handle = handle ? handle : (next_handle += 16);
        if (i == thing_count) thing_count++;
        return &things[i];
    }
    broken("too many handles");
    abort();
}

static thing *memory_at(uintptr_t address, size_t size) {
    for (int i = 0; i < thing_count; i++) {
        uintptr_t start = things[i].handle;
        if (things[i].kind == MEMORY && address >= start && address + size <= start + things[i].size) return &things[i];
    }
    return NULL;
}

// What a call returns before it does anything: an error that was asked for, or that comes of a rule.
static int admit(const char *call, int needs_context) {
    if (!initialized) { broken("%s before cuInit", call); return NOT_INITIALIZED; }
    if (needs_context && (depth == 0 || stack[depth - 1] != primary)) {
        broken("%s without the context", call);
        return INVALID_CONTEXT;
    }
    if (failing[0] && strcmp(failing, call) == 0 && failing_after-- <= 0) {
        int code = failing_code;
        failing[0] = 0;
        if (code == 700 || (code >= 714 && code <= 719) || code == 214) sticky = code;
        return code;
    }
    return needs_context ? sticky : 0;
}

#define BEGIN(call, context) \
    pthread_mutex_lock(&books); \
    int code = admit(call, context); \
    if (code) { note("%s -> %d\n", call, code); pthread_mutex_unlock(&books); return code; }
#define END(value) do { int end_value = (value); pthread_mutex_unlock(&books); return end_value; } while (0)

// For the tests.

EXPORT void fake_reset(void) {
    pthread_mutex_lock(&books);
    for (int i = 0; i < thing_count; i++) {
        if (things[i].kind == MEMORY || things[i].kind == HOST) free((void *)things[i].handle);
    }
    thing_count = 0;
    journal_length = 0;
    journal[0] = violation[0] = failing[0] = 0;
    retained = sticky = 0;
    depth = 0;  // of this thread, which a test of cuCtxPopCurrent may have left with a context
    initialized = 0;
    device_count = 1;
    driver_version = 12040;
    major = 8;
    minor = 6;
    strcpy(device_name, "Fake GPU");
    pthread_mutex_unlock(&books);
}

EXPORT void fake_set(int devices, int version, int compute_major, int compute_minor, const char *name) {
    device_count = devices;
    driver_version = version;
    major = compute_major;
    minor = compute_minor;
    snprintf(device_name, sizeof device_name, "%s", name);
}

// Lets a call return a code, once, after it was called `after` times more.
EXPORT void fake_fail(const char *call, int code, int after) {
    snprintf(failing, sizeof failing, "%s", call);
    failing_code = code;
    failing_after = after;
}

EXPORT const char *fake_journal(void) { return journal; }
EXPORT const char *fake_violation(void) { return violation; }

// How many handles exist, the retained context among them.
EXPORT int fake_living(void) {
    int n = retained;
    for (int i = 0; i < thing_count; i++) n += things[i].kind && things[i].kind != FUNCTION;
    return n;
}

EXPORT int fake_depth(void) { return depth; }
EXPORT uintptr_t fake_current(void) { return depth ? stack[depth - 1] : 0; }

// Makes another context current, as another library of the process does.
EXPORT void fake_push(uintptr_t context) { stack[depth++] = context; }
EXPORT void fake_pop(void) { depth--; }

// The driver's entry points.

EXPORT int cuInit(unsigned flags) {
    pthread_mutex_lock(&books);
    initialized = 1;
    int code = admit("cuInit", 0);
    if (!code && flags) code = INVALID_VALUE;
    if (!code && device_count == 0) code = NO_DEVICE;
    END(code);
}

EXPORT int cuDriverGetVersion(int *version) { *version = driver_version; return 0; }

EXPORT int cuGetErrorName(int code, const char **name) {
    static const struct { int code; const char *name; } names[] = {
        {1, "CUDA_ERROR_INVALID_VALUE"}, {2, "CUDA_ERROR_OUT_OF_MEMORY"}, {3, "CUDA_ERROR_NOT_INITIALIZED"},
        {34, "CUDA_ERROR_STUB_LIBRARY"}, {46, "CUDA_ERROR_DEVICE_UNAVAILABLE"}, {100, "CUDA_ERROR_NO_DEVICE"},
        {101, "CUDA_ERROR_INVALID_DEVICE"}, {201, "CUDA_ERROR_INVALID_CONTEXT"}, {209, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
        {214, "CUDA_ERROR_ECC_UNCORRECTABLE"}, {218, "CUDA_ERROR_INVALID_PTX"}, {221, "CUDA_ERROR_JIT_COMPILER_NOT_FOUND"},
        {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"}, {223, "CUDA_ERROR_JIT_COMPILATION_DISABLED"}, {400, "CUDA_ERROR_INVALID_HANDLE"},
        {500, "CUDA_ERROR_NOT_FOUND"}, {600, "CUDA_ERROR_NOT_READY"}, {700, "CUDA_ERROR_ILLEGAL_ADDRESS"},
        {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"}, {716, "CUDA_ERROR_MISALIGNED_ADDRESS"}, {719, "CUDA_ERROR_LAUNCH_FAILED"},
        {802, "CUDA_ERROR_SYSTEM_NOT_READY"}, {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"},
        {804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE"}, {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"},
        {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"}, {908, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD"}, {999, "CUDA_ERROR_UNKNOWN"},
    };
    for (int i = 0; i < COUNT(names); i++) if (names[i].code == code) { *name = names[i].name; return 0; }
    *name = NULL;
    return INVALID_VALUE;
}

EXPORT int cuDeviceGetCount(int *count) { BEGIN("cuDeviceGetCount", 0) *count = device_count; END(0); }

EXPORT int cuDeviceGet(int *device, int ordinal) {
    BEGIN("cuDeviceGet", 0)
    if (ordinal < 0 || ordinal >= device_count) END(INVALID_DEVICE);
    *device = 40 + ordinal;  // a handle, which is not the number
    END(0);
}

static int is_device(int device) { return device >= 40 && device < 40 + device_count; }

EXPORT int cuDeviceGetName(char *name, int length, int device) {
    BEGIN("cuDeviceGetName", 0)
    if (!is_device(device)) END(INVALID_DEVICE);
    memset(name, 'x', length);
    snprintf(name, length, "%s", device_name);
    END(0);
}

EXPORT int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    BEGIN("cuDeviceTotalMem_v2", 0)
    if (!is_device(device)) END(INVALID_DEVICE);
    *bytes = 8ull << 30;
    END(0);
}

EXPORT int cuDeviceGetAttribute(int *value, int attribute, int device) {
    BEGIN("cuDeviceGetAttribute", 0)
    if (!is_device(device)) END(INVALID_DEVICE);
    switch (attribute) {
        case 13: *value = 1695000; break;
        case 16: *value = 28; break;
        case 36: *value = 7001000; break;
        case 37: *value = 128; break;
        case 75: *value = major; break;
        case 76: *value = minor; break;
        case 81: *value = 102400; break;
        case 97: *value = 101376; break;
        default: broken("attribute %d", attribute); END(INVALID_VALUE);
    }
    END(0);
}

EXPORT int cuDevicePrimaryCtxRetain(uintptr_t *context, int device) {
    BEGIN("cuDevicePrimaryCtxRetain", 0)
    if (!is_device(device)) END(INVALID_DEVICE);
    retained++;
    *context = primary;
    END(0);
}

EXPORT int cuDevicePrimaryCtxRelease_v2(int device) {
    BEGIN("cuDevicePrimaryCtxRelease_v2", 0)
    if (!is_device(device)) END(INVALID_DEVICE);
    if (retained == 0) { broken("released more often than retained"); END(INVALID_CONTEXT); }
    retained--;
    END(sticky);
}

EXPORT int cuCtxPushCurrent_v2(uintptr_t context) {
    BEGIN("cuCtxPushCurrent_v2", 0)
    if (context != primary || retained == 0) { broken("no such context"); END(INVALID_CONTEXT); }
    stack[depth++] = context;
    END(0);
}

EXPORT int cuCtxPopCurrent_v2(uintptr_t *context) {
    BEGIN("cuCtxPopCurrent_v2", 0)
    if (depth == 0) { broken("popped without a context"); END(INVALID_CONTEXT); }
    *context = stack[--depth];
    END(0);
}

EXPORT int cuMemGetInfo_v2(size_t *available, size_t *total) {
    BEGIN("cuMemGetInfo_v2", 1)
    *available = 123456789;
    *total = 8ull << 30;
    END(0);
}

// Memory is one of the calls that are forbidden while the thread captures a stream in thread-local mode. They spoil the capture.
static int captures_here(void) {
    int n = 0;
    for (int i = 0; i < thing_count; i++) {
        if (things[i].kind != STREAM || !things[i].capturing || !pthread_equal(things[i].capturer, pthread_self())) continue;
        things[i].capturing = SPOILED;
        n++;
    }
    return n;
}

EXPORT int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
    BEGIN("cuMemAlloc_v2", 1)
    if (bytes == 0) END(INVALID_VALUE);
    if (captures_here()) END(CAPTURE_UNSUPPORTED);
    void *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    memset(memory, 0xCD, bytes);
    add(MEMORY, (uintptr_t)memory)->size = bytes;
    *address = (uintptr_t)memory;
    END(0);
}

static int release(int kind, uintptr_t handle, const char *call) {
    thing *t = find(kind, handle);
    if (!t) { broken("%s of what does not exist", call); return INVALID_VALUE; }
    if (kind == MEMORY || kind == HOST) free((void *)handle);
    if (kind == MODULE) {
        for (int i = 0; i < thing_count; i++) if (things[i].kind == FUNCTION && things[i].owner == handle) things[i].kind = 0;
    }
    t->kind = 0;
    return 0;
}

EXPORT int cuMemFree_v2(uint64_t address) { BEGIN("cuMemFree_v2", 1) END(release(MEMORY, address, "cuMemFree_v2")); }

EXPORT int cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) {
    BEGIN("cuMemHostAlloc", 1)
    if (flags != 1) broken("cuMemHostAlloc with flags %u", flags);
    *memory = malloc(bytes);
    add(HOST, (uintptr_t)*memory)->size = bytes;
    END(0);
}

EXPORT int cuMemFreeHost(void *memory) { BEGIN("cuMemFreeHost", 1) END(release(HOST, (uintptr_t)memory, "cuMemFreeHost")); }

static void perform(const op *o) {
    if (o->what == 'c') memcpy((void *)o->to, (void *)o->from, o->size);
    if (o->what == 'm') memset((void *)o->to, 0, o->size);
    note("%s\n", o->line);
}

static int enqueue(uintptr_t stream, op o) {
    thing *t = find(STREAM, stream);
    if (!t) { broken("work on no stream: %s", o.line); return INVALID_HANDLE; }
    if (!t->capturing) { perform(&o); return 0; }
    t->ops = realloc(t->ops, (t->op_count + 1) * sizeof(op));
    t->ops[t->op_count++] = o;
    return 0;
}

static char *line(const char *format, ...) {
    char text[16384];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return strdup(text);
}

EXPORT int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, uintptr_t stream) {
    BEGIN("cuMemcpyHtoDAsync_v2", 1)
    if (!memory_at(to, size)) { broken("copy out of bounds"); END(INVALID_VALUE); }
    END(enqueue(stream, (op){'c', to, (uintptr_t)from, size, line("to device %zu", size)}));
}

EXPORT int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, uintptr_t stream) {
    BEGIN("cuMemcpyDtoHAsync_v2", 1)
    if (!memory_at(from, size)) { broken("copy out of bounds"); END(INVALID_VALUE); }
    END(enqueue(stream, (op){'c', (uintptr_t)to, from, size, line("to host %zu", size)}));
}

EXPORT int cuMemsetD8Async(uint64_t to, unsigned char value, size_t size, uintptr_t stream) {
    BEGIN("cuMemsetD8Async", 1)
    if (value) broken("cuMemsetD8Async to %u", value);
    if (!memory_at(to, size)) { broken("clear out of bounds"); END(INVALID_VALUE); }
    END(enqueue(stream, (op){'m', to, 0, size, line("clear %zu", size)}));
}

// A text without .version, or with the word SYNTAX, does not compile.
EXPORT int cuModuleLoadDataEx(uintptr_t *module, const char *image, unsigned count, const int *options, void **values) {
    BEGIN("cuModuleLoadDataEx", 1)
    if (captures_here()) END(CAPTURE_UNSUPPORTED);
    char *log = NULL;
    size_t size = 0;
    for (unsigned i = 0; i < count; i++) {
        if (options[i] == 5) log = values[i];
        else if (options[i] == 6) size = (unsigned)(uintptr_t)values[i];
        else broken("JIT option %d", options[i]);
    }
    if (!strstr(image, ".version") || strstr(image, "SYNTAX")) {
        if (log) snprintf(log, size, "ptxas application ptx input, line 7; fatal : Parsing error near 'SYNTAX': syntax error");
        END(INVALID_PTX);
    }
    if (strstr(image, "FLOOD")) {
        // A log that fills the buffer and is not terminated.
        if (log) memset(log, 'y', size);
        END(INVALID_PTX);
    }
    thing *t = add(MODULE, 0);
    *module = t->handle;
    for (const char *at = image; (at = strstr(at, ".entry ")); ) {
        at += 7;
        thing *f = add(FUNCTION, 0);
        f->owner = *module;
        f->shared = 49152;
        snprintf(f->text, sizeof f->text, "%.*s", (int)strcspn(at, " ("), at);
    }
    END(0);
}

EXPORT int cuModuleUnload(uintptr_t module) { BEGIN("cuModuleUnload", 1) END(release(MODULE, module, "cuModuleUnload")); }

EXPORT int cuModuleGetFunction(uintptr_t *function, uintptr_t module, const char *name) {
    BEGIN("cuModuleGetFunction", 1)
    if (!find(MODULE, module)) END(INVALID_HANDLE);
    for (int i = 0; i < thing_count; i++) {
        if (things[i].kind == FUNCTION && things[i].owner == module && strcmp(things[i].text, name) == 0) {
            *function = things[i].handle;
            END(0);
        }
    }
    END(NOT_FOUND);
}

EXPORT int cuFuncSetAttribute(uintptr_t function, int attribute, int value) {
    BEGIN("cuFuncSetAttribute", 1)
    thing *f = find(FUNCTION, function);
    if (!f) END(INVALID_HANDLE);
    if (attribute != 8) broken("function attribute %d", attribute);
    if (value > 101376) END(INVALID_VALUE);
    f->shared = value;
    note("permit %s %d\n", f->text, value);
    END(0);
}

EXPORT int cuLaunchKernel(uintptr_t function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
    unsigned shared, uintptr_t stream, void **parameters, void **extra) {
    BEGIN("cuLaunchKernel", 1)
    thing *f = find(FUNCTION, function);
    if (!f) { broken("launch of no function"); END(INVALID_HANDLE); }
    if (parameters) broken("launch with kernelParams");
    if (gx == 0 || gy == 0 || gz == 0 || bx * by * bz == 0 || bx * by * bz > 1024 || gy > 65535 || gz > 65535) END(INVALID_VALUE);
    if (shared > (unsigned)f->shared) END(INVALID_VALUE);
    char text[9000] = "";
    unsigned char *bytes = NULL;
    size_t size = 0;
    for (int i = 0; extra && extra[i]; i += 2) {
        if ((uintptr_t)extra[i] == 1) bytes = extra[i + 1];
        else if ((uintptr_t)extra[i] == 2) size = *(size_t *)extra[i + 1];
        else { broken("launch parameter %p", extra[i]); END(INVALID_VALUE); }
    }
    for (size_t i = 0; i < size; i++) sprintf(text + 2 * i, "%02x", bytes[i]);
    END(enqueue(stream, (op){'k', 0, 0, 0,
        line("launch %s %u,%u,%u %u,%u,%u %u [%s]", f->text, gx, gy, gz, bx, by, bz, shared, text)}));
}

EXPORT int cuStreamCreate(uintptr_t *stream, unsigned flags) {
    BEGIN("cuStreamCreate", 1)
    if (flags != 1) broken("cuStreamCreate with flags %u", flags);
    *stream = add(STREAM, 0)->handle;
    END(0);
}

EXPORT int cuStreamDestroy_v2(uintptr_t stream) { BEGIN("cuStreamDestroy_v2", 1) END(release(STREAM, stream, "cuStreamDestroy_v2")); }

EXPORT int cuStreamSynchronize(uintptr_t stream) {
    BEGIN("cuStreamSynchronize", 1)
    thing *t = find(STREAM, stream);
    if (!t) END(INVALID_HANDLE);
    END(t->capturing ? CAPTURE_UNSUPPORTED : 0);
}

EXPORT int cuStreamBeginCapture_v2(uintptr_t stream, int mode) {
    BEGIN("cuStreamBeginCapture_v2", 1)
    thing *t = find(STREAM, stream);
    if (!t) END(INVALID_HANDLE);
    if (mode != 1) broken("capture mode %d", mode);
    if (t->capturing) END(401);
    t->capturing = 1;
    t->capturer = pthread_self();
    t->ops = NULL;
    t->op_count = 0;
    END(0);
}

EXPORT int cuStreamEndCapture(uintptr_t stream, uintptr_t *graph) {
    BEGIN("cuStreamEndCapture", 1)
    thing *t = find(STREAM, stream);
    if (!t || !t->capturing) END(401);
    if (!pthread_equal(t->capturer, pthread_self())) END(WRONG_THREAD);
    int spoiled = t->capturing == SPOILED;
    t->capturing = 0;
    *graph = 0;
    if (spoiled) END(CAPTURE_INVALIDATED);
    thing *g = add(GRAPH, 0);
    t = find(STREAM, stream);
    g->ops = t->ops;
    g->op_count = t->op_count;
    *graph = g->handle;
    END(0);
}

#if !defined WITHOUT_FLAGS || !defined WITHOUT_GRAPHS
static int instantiate(uintptr_t *exec, uintptr_t graph) {
    thing *g = find(GRAPH, graph);
    if (!g) return INVALID_HANDLE;
    thing *e = add(EXEC, 0);
    e->ops = g->ops;
    e->op_count = g->op_count;
    *exec = e->handle;
    note("graph of %d\n", e->op_count);
    return 0;
}
#endif

#ifndef WITHOUT_FLAGS
EXPORT int cuGraphInstantiateWithFlags(uintptr_t *exec, uintptr_t graph, unsigned long long flags) {
    BEGIN("cuGraphInstantiateWithFlags", 1)
    if (flags) broken("cuGraphInstantiateWithFlags with flags");
    END(instantiate(exec, graph));
}
#endif

#ifndef WITHOUT_GRAPHS
EXPORT int cuGraphInstantiate_v2(uintptr_t *exec, uintptr_t graph, uintptr_t *error, char *log, size_t size) {
    BEGIN("cuGraphInstantiate_v2", 1)
    if (error || log || size) broken("cuGraphInstantiate_v2 with a log");
    note("old form\n");
    END(instantiate(exec, graph));
}
#endif

EXPORT int cuGraphLaunch(uintptr_t exec, uintptr_t stream) {
    BEGIN("cuGraphLaunch", 1)
    thing *e = find(EXEC, exec);
    if (!e || !find(STREAM, stream)) END(INVALID_HANDLE);
    for (int i = 0; i < e->op_count; i++) perform(&e->ops[i]);
    END(0);
}

EXPORT int cuGraphExecDestroy(uintptr_t exec) { BEGIN("cuGraphExecDestroy", 1) END(release(EXEC, exec, "cuGraphExecDestroy")); }
EXPORT int cuGraphDestroy(uintptr_t graph) { BEGIN("cuGraphDestroy", 1) END(release(GRAPH, graph, "cuGraphDestroy")); }

EXPORT int cuEventCreate(uintptr_t *event, unsigned flags) {
    BEGIN("cuEventCreate", 1)
    if (flags) broken("cuEventCreate with flags %u", flags);
    *event = add(EVENT, 0)->handle;
    END(0);
}

EXPORT int cuEventDestroy_v2(uintptr_t event) { BEGIN("cuEventDestroy_v2", 1) END(release(EVENT, event, "cuEventDestroy_v2")); }

EXPORT int cuEventRecord(uintptr_t event, uintptr_t stream) {
    BEGIN("cuEventRecord", 1)
    thing *e = find(EVENT, event);
    if (!e || !find(STREAM, stream)) END(INVALID_HANDLE);
    e->size++;
    END(0);
}

EXPORT int cuEventSynchronize(uintptr_t event) { BEGIN("cuEventSynchronize", 1) END(find(EVENT, event) ? 0 : INVALID_HANDLE); }

EXPORT int cuEventElapsedTime(float *milliseconds, uintptr_t start, uintptr_t end) {
    BEGIN("cuEventElapsedTime", 1)
    thing *a = find(EVENT, start), *b = find(EVENT, end);
    if (!a || !b || !a->size || !b->size) END(INVALID_HANDLE);
    *milliseconds = 12.5f;
    END(0);
}
