/* Runs the fuzzer's model on the files named by the arguments, and then on inputs made at random.
 */
#include "check.h"

#include <string.h>

enum { MOST_BYTES = 4096, RANDOM_INPUTS = 5000, RANDOM_BYTES = 400 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t bytes[MOST_BYTES];
static uint32_t state = 1;

static uint32_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static void run_file(const char *path) {
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    CHECK(size < sizeof bytes);
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, size);
}

static void run_random(void) {
    size_t size = next_random() % RANDOM_BYTES;
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)next_random();
    LLVMFuzzerTestOneInput(bytes, size);
}

int main(int count, char **arguments) {
    for (int i = 1; i < count; i++) run_file(arguments[i]);
    int inputs = getenv("UNDER_VALGRIND") != NULL ? RANDOM_INPUTS / 20 : RANDOM_INPUTS;
    for (int i = 0; i < inputs; i++) run_random();
    printf("%d files and %d random inputs\n", count - 1, inputs);
    return 0;
}
