// SPDX-License-Identifier: MIT
// The same in C++: a lambda without captures converts to a function, so it can be a target.
#include <brood/brood.h>

#include <cstdio>
#include <cstring>

struct word {
    char letters[16];
};

int main()
{
    brood_init();
    word hello = {};
    std::strcpy(hello.letters, "seven");
    brood_process_options options = {};
    options.name = "a lambda";
    brood_process *process = nullptr;
    brood_exit report = {};
    const auto target = [](void *arg) -> int {
        return std::strcmp(static_cast<const word *>(arg)->letters, "seven") == 0 ? 7 : 1;
    };
    if (brood_process_start(&process, target, &hello, sizeof hello, &options) != BROOD_OK ||
        brood_process_join(process, BROOD_SECONDS(60), &report) != BROOD_OK) {
        std::fprintf(stderr, "%s\n", brood_last_error());
        return 1;
    }
    std::printf("C++, brood %s: %d\n", brood_version(), static_cast<int>(report.code));
    brood_process_drop(process);
    return 0;
}
