#include "federation/keyring/probe.h"

namespace polder::keyring {

void probe(const Keyring& keyring, metrics::Sink& sink) {
  const KeyringStats& stats = keyring.stats();
  const auto tell = [&](const char* name, const char* help, metrics::Labels labels,
                        const metrics::Counter& count) {
    sink.counter(name, help, std::move(labels), static_cast<double>(count.value()));
  };
  constexpr const char* kSought = "Keys of other servers that were sought, known or not.";
  tell("polder_keys_sought_total", kSought, {{"known", "yes"}}, stats.hits);
  tell("polder_keys_sought_total", kSought, {{"known", "no"}}, stats.misses);
  constexpr const char* kFetches = "Requests to other servers for their keys.";
  tell("polder_key_requests_total", kFetches, {{"outcome", "ok"}}, stats.fetched);
  tell("polder_key_requests_total", kFetches, {{"outcome", "failed"}}, stats.not_fetched);
}

}  // namespace polder::keyring
