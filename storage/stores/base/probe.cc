#include "storage/stores/base/probe.h"

namespace polder::stores {

void probe(const Names& names, metrics::Sink& sink) {
  constexpr std::pair<NameKind, const char*> kKinds[] = {{NameKind::kUser, "names of users"},
                                                         {NameKind::kServer, "names of servers"},
                                                         {NameKind::kRoom, "names of rooms"},
                                                         {NameKind::kType, "names of types"},
                                                         {NameKind::kStateKey, "state keys"}};
  for (const auto& [kind, name] : kKinds)
    metrics::report_cache(sink, name, names.figures(kind));
}

}  // namespace polder::stores
