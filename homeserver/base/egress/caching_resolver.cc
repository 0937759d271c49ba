#include <map>

#include "homeserver/base/egress/resolver.h"
#include "homeserver/base/values/mutex.h"

namespace polder::egress {
namespace {

using std::chrono::seconds;
constexpr size_t kEntriesMax = 10'000;
constexpr seconds kShortest{5};
constexpr seconds kLongest{3600};
constexpr seconds kFailure{30};

template <class T>
class Cache {
 public:
  std::optional<Result<T>> find(const std::string& name, std::chrono::nanoseconds now) {
    const base::Lock lock(mutex_);
    const auto found = entries_.find(name);
    const bool known = found != entries_.end() && found->second.expires > now;
    figures_.count(known);
    return known ? std::optional(found->second.answer) : std::nullopt;
  }
  void insert(const std::string& name, const Result<T>& answer, std::chrono::nanoseconds now) {
    // That there was no place for the question says nothing of the answer.
    if (!answer.ok() && answer.error().code == ErrorCode::kRateLimited) return;
    const seconds keep = answer.ok() ? std::clamp(answer->ttl, kShortest, kLongest) : kFailure;
    const base::Lock lock(mutex_);
    if (entries_.size() >= kEntriesMax) {
      const size_t before = entries_.size();
      std::erase_if(entries_, [&](const auto& entry) { return entry.second.expires <= now; });
      if (entries_.size() >= kEntriesMax) entries_.clear();
      figures_.evictions += before - entries_.size();
    }
    entries_.insert_or_assign(name, Entry{answer, now + keep});
  }

  metrics::CacheFigures figures() const {
    const base::Lock lock(mutex_);
    metrics::CacheFigures figures = figures_;
    figures.entries = entries_.size();
    return figures;
  }

 private:
  struct Entry {
    Result<T> answer;
    std::chrono::nanoseconds expires;
  };
  mutable base::Mutex mutex_;
  metrics::CacheFigures figures_ GUARDED_BY(mutex_);
  std::map<std::string, Entry> entries_ GUARDED_BY(mutex_);
};

class CachingResolver final : public Resolver {
 public:
  CachingResolver(Resolver& resolver, const Clock& clock) : resolver_(resolver), clock_(clock) {}

  Task<Result<Addresses>> addresses(std::string host) override {
    if (auto known = addresses_.find(host, clock_.steady())) co_return *std::move(known);
    auto answer = co_await resolver_.addresses(host);
    addresses_.insert(host, answer, clock_.steady());
    co_return answer;
  }
  Task<Result<Services>> services(std::string name) override {
    if (auto known = services_.find(name, clock_.steady())) co_return *std::move(known);
    auto answer = co_await resolver_.services(name);
    services_.insert(name, answer, clock_.steady());
    co_return answer;
  }
  metrics::CacheFigures figures() const override {
    metrics::CacheFigures all = addresses_.figures();
    all += services_.figures();
    return all;
  }

 private:
  Resolver& resolver_;
  const Clock& clock_;
  Cache<Addresses> addresses_;
  Cache<Services> services_;
};

}  // namespace

std::unique_ptr<Resolver> make_caching_resolver(Resolver& resolver, const Clock& clock) {
  return std::make_unique<CachingResolver>(resolver, clock);
}

}  // namespace polder::egress
