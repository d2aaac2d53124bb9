/* A library with objects, callbacks and errors, for the tests of declared functions. What it frees
 * is told in order. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct object {
    struct object *parent;
    char name;
};

static char freed[4096];
static size_t freed_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct object *obj_new(struct object *parent, int name) {
    struct object *object = malloc(sizeof *object);
    object->parent = parent;
    object->name = (char)name;
    return object;
}

int obj_open(int name, int code, struct object **object) {
    *object = obj_new(NULL, name);
    errno = code == 0 ? 0 : EBUSY;
    return code;
}

void obj_free(struct object *object) {
    pthread_mutex_lock(&lock);
    if (freed_count < sizeof freed) freed[freed_count++] = object->name;
    pthread_mutex_unlock(&lock);
    free(object);
}

/* The names of what has been freed since the last call. */
size_t obj_freed(char *names, size_t size) {
    pthread_mutex_lock(&lock);
    size_t count = freed_count < size ? freed_count : size;
    memcpy(names, freed, count);
    freed_count = 0;
    pthread_mutex_unlock(&lock);
    return count;
}

/* As a library that notes `other` in `object`. */
int obj_link(struct object *object, const struct object *other) {
    return object->name + other->name;
}

int obj_name(const struct object *object) {
    return object->name;
}

/* Memory of the object's own. */
void *obj_peek(struct object *object) {
    return &object->name;
}

int obj_name_later(const struct object *object, int milliseconds) {
    usleep((useconds_t)milliseconds * 1000);
    return object->name;
}

int obj_fail(int error) {
    errno = error;
    return -1;
}

typedef int function(void *context, const char *bytes, size_t size);

int obj_each(function *call, void *context, int times) {
    int sum = 0;
    for (int i = 0; i < times; i++) sum += call(context, "0123456789", (size_t)i);
    return sum;
}

/* Hands over memory, and calls back in between. */
int obj_make_with(function *call, struct object **object) {
    *object = obj_new(NULL, 'w');
    call(NULL, "", 0);
    return 0;
}

static function *kept;

void obj_keep(function *call) {
    kept = call;
}

int obj_call_kept(void) {
    return kept(NULL, "", 0);
}

int64_t obj_sum(const int32_t *numbers, size_t count) {
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += numbers[i];
    return sum;
}

struct pair {
    int32_t a;
    double b;
};

double obj_pair(const struct pair *pair) {
    return pair->a + pair->b;
}

void obj_swap(struct pair *pair) {
    int32_t a = pair->a;
    pair->a = (int32_t)pair->b;
    pair->b = a;
}

int obj_types(int8_t a, uint8_t b, int16_t c, uint16_t d, int32_t e, uint32_t f) {
    return a + b + c + d + e + (f == UINT32_MAX);
}

int64_t obj_wide(int64_t a, uint64_t b) {
    return a + (b == UINT64_MAX);
}

int obj_not(_Bool value) {
    return !value;
}

int obj_many(int a, int b, int c, int d, int e, int f, int g, int h) {
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h;
}

static int wrong_names;

/* Reads the name before and after it sleeps. */
int obj_name_twice(const struct object *object, int milliseconds) {
    const volatile char *name = &object->name;
    char before = *name;
    usleep((useconds_t)milliseconds * 1000);
    if (*name != before) wrong_names++;
    return before;
}

int obj_wrong_names(void) {
    return wrong_names;
}

struct sized {
    const void *data;
    int32_t size;
};

int obj_sized(const void *before, const struct sized *sized) {
    return before != 0 && sized->data != 0 ? *(const char *)before + sized->size : -1;
}
