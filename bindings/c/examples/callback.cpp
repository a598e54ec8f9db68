// The same in C++, with what frees itself and a lambda that is told: ./callback 16000 < samples.s16

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <vivavoce.h>

namespace {

void check(VivavoceStatus status) {
    if (status != VIVAVOCE_STATUS_OK) throw std::runtime_error(vivavoce_last_error());
}

struct Free {
    void operator()(VivavoceRecognizer *recognizer) const { vivavoce_recognizer_free(recognizer); }
    void operator()(VivavoceSession *session) const { vivavoce_session_free(session); }
};

std::unique_ptr<VivavoceRecognizer, Free> recognizer() {
    VivavoceRecognizer *made = nullptr;
    check(vivavoce_recognizer_new(nullptr, nullptr, &made));
    return std::unique_ptr<VivavoceRecognizer, Free>(made);
}

std::unique_ptr<VivavoceSession, Free> session(const VivavoceRecognizer &recognizer, uint32_t rate, const std::string &options) {
    VivavoceSession *made = nullptr;
    check(vivavoce_session_new(&recognizer, rate, options.c_str(), &made));
    return std::unique_ptr<VivavoceSession, Free>(made);
}

}  // namespace

int main(int argc, char **argv) try {
    const auto rate = argc > 1 ? static_cast<uint32_t>(std::strtoul(argv[1], nullptr, 10)) : 0;
    const auto words = recognizer();
    const auto stream = session(*words, rate, R"({"partials": false})");
    unsigned told = 0;
    const auto listener = [](const char *event, void *user) {
        ++*static_cast<unsigned *>(user);
        std::cout << event << '\n';
    };
    check(vivavoce_session_listen(stream.get(), listener, &told));
    std::vector<int16_t> samples(1600);
    while (const auto count = std::fread(samples.data(), sizeof samples[0], samples.size(), stdin)) {
        check(vivavoce_session_accept_i16(stream.get(), samples.data(), count));
    }
    check(vivavoce_session_finish(stream.get()));
    std::cerr << told << " events in " << vivavoce_session_time(stream.get()) << " s\n";
} catch (const std::exception &error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
}
