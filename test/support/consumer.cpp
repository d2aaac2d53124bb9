// A C++ program over the installed header alone. It prints what happened to its blocks.
#include <cslice.h>

#include <cstdio>
#include <cstring>
#include <thread>

static void give_back(void *data, std::size_t, void *context) {
    delete[] static_cast<char *>(data);
    ++*static_cast<int *>(context);
}

int main() {
    cslice_block *block = nullptr;
    if (cslice_block_new(8, &block) != 0) return 1;
    std::memcpy(cslice_block_data(block), "counted", 8);
    std::thread reader([shared = cslice_block_ref(block)] {
        std::printf("%s\n", static_cast<const char *>(cslice_block_data(shared)));
        cslice_block_unref(shared);
    });
    cslice_block_unref(block);
    reader.join();

    int given_back = 0;
    cslice_block *adopted = nullptr;
    if (cslice_block_adopt(new char[3], 3, give_back, &given_back, &adopted) != 0) return 1;
    std::printf("%zu\n", cslice_block_size(adopted));
    cslice_block_unref(adopted);
    cslice_block_unref(nullptr);

    cslice_statistics statistics;
    cslice_statistics_get(&statistics);
    std::printf("%d given back, %d live, %d by C\n", given_back,
                static_cast<int>(statistics.live_blocks),
                static_cast<int>(statistics.released_by_c));
    std::printf("%s\n", cslice_status_message(CSLICE_ENOMEM));
    return cslice_abi_version() == CSLICE_ABI_VERSION ? 0 : 2;
}
