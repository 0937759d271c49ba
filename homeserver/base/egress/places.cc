#include "homeserver/base/egress/places.h"

#include <algorithm>

namespace polder::egress {
namespace {

Task<void> call(std::weak_ptr<std::function<void()>> end) {
  if (const auto alive = end.lock()) (*alive)();
  co_return;
}

}  // namespace

Places::Place::Place(std::shared_ptr<Places> places, Demand demand, std::string host)
    : places_(std::move(places)),
      demand_(std::move(demand)),
      host_(std::move(host)),
      shard_(places_->runtime_.current_shard()) {}

Places::Place::~Place() {
  std::vector<WaiterPtr> woken;
  {
    const base::Lock lock(places_->mutex_);
    places_->give_back(*this, woken);
  }
  wake(woken);
}

void Places::Place::becomes_slow(std::function<void()> end) {
  std::vector<WaiterPtr> woken;
  end_ = std::make_shared<std::function<void()>>(std::move(end));
  {
    const base::Lock lock(places_->mutex_);
    if (slow_) return;
    slow_ = true;
    Books& books = places_->books(demand_.cause);
    --books.prompt;
    ++books.slow;
    books.slow_ones.push_back(this);
    places_->make_way(demand_.cause);
    woken = places_->next_in_line(demand_.cause);
  }
  wake(woken);
}

Task<Result<Places::PlacePtr>> Places::take(Demand demand, std::string host,
                                            std::chrono::nanoseconds until) {
  const Error none = fail(ErrorCode::kRateLimited, "too many requests are under way");
  const auto left = until - runtime_.clock().steady();
  const WaiterPtr waiter = std::make_shared<Waiter>();
  {
    const base::Lock lock(mutex_);
    if (fits(demand, host)) {
      count(demand, host);
      co_return std::make_shared<Place>(shared_from_this(), std::move(demand), std::move(host));
    }
    Books& books = this->books(demand.cause);
    Host& line = books.hosts[host];
    if (line.line.size() >= share(demand.cause).waiting || books.waiting >= kWaitingMax ||
        left <= std::chrono::nanoseconds(0)) {
      forget_if_idle(books, host);
      co_return none;
    }
    waiter->demand = demand;
    line.line.push_back(waiter);
    ++books.waiting;
    if (!std::exchange(line.in_turns, true)) books.turns.push_back(host);
  }
  const auto timer = runtime_.after(std::chrono::ceil<Millis>(left),
                                    [this, waiter, host] { give_up(waiter, host); });
  auto start = [this, waiter](std::function<void()> resume) {
    bool decided = false;
    {
      const base::Lock lock(mutex_);
      decided = waiter->decided;
      if (!decided) waiter->resume = resume;
    }
    if (decided) resume();
  };
  co_await runtime::internal::suspend(std::move(start));
  timer->cancel();
  if (!waiter->granted) co_return none;
  co_return std::make_shared<Place>(shared_from_this(), std::move(demand), std::move(host));
}

bool Places::hold(Cause cause, size_t bytes) {
  const base::Lock lock(mutex_);
  Books& books = this->books(cause);
  if (bytes > share(cause).bytes - std::min(books.bytes, share(cause).bytes)) return false;
  books.bytes += bytes;
  return true;
}

void Places::release(Cause cause, size_t bytes) {
  const base::Lock lock(mutex_);
  books(cause).bytes -= bytes;
}

size_t Places::under_way(Cause cause) const {
  const base::Lock lock(mutex_);
  const Books& books = books_[static_cast<size_t>(cause)];
  return books.prompt + books.slow;
}

size_t Places::in_line(Cause cause) const {
  const base::Lock lock(mutex_);
  return books_[static_cast<size_t>(cause)].waiting;
}

size_t Places::held(Cause cause) const {
  const base::Lock lock(mutex_);
  return books_[static_cast<size_t>(cause)].bytes;
}

bool Places::fits(const Demand& demand, const std::string& host) {
  Books& books = this->books(demand.cause);
  const Share& share = this->share(demand.cause);
  if (books.prompt >= share.prompt) return false;
  const auto there = books.hosts.find(host);
  if (there != books.hosts.end() &&
      (there->second.running >= share.of_host || !there->second.line.empty()))
    return false;
  return has_share(demand);
}

bool Places::has_share(const Demand& demand) {
  if (demand.by.empty()) return true;
  Books& books = this->books(demand.cause);
  const auto one = books.of_one.find(demand.by);
  return one == books.of_one.end() || one->second < share(demand.cause).of_one;
}

void Places::count(const Demand& demand, const std::string& host) {
  Books& books = this->books(demand.cause);
  ++books.prompt;
  ++books.hosts[host].running;
  if (!demand.by.empty()) ++books.of_one[demand.by];
}

void Places::give_back(Place& place, std::vector<WaiterPtr>& woken) {
  Books& books = this->books(place.demand_.cause);
  if (place.slow_) {
    --books.slow;
    books.slow_ones.remove(&place);
  } else {
    --books.prompt;
  }
  --books.hosts[place.host_].running;
  if (!place.demand_.by.empty()) {
    const auto one = books.of_one.find(place.demand_.by);
    if (--one->second == 0) books.of_one.erase(one);
  }
  forget_if_idle(books, place.host_);
  woken = next_in_line(place.demand_.cause);
}

// Each address has its turn; those for which there is no place now keep it for later.
std::vector<Places::WaiterPtr> Places::next_in_line(Cause cause) {
  Books& books = this->books(cause);
  const Share& share = this->share(cause);
  std::vector<WaiterPtr> woken;
  for (size_t tries = books.turns.size(); tries > 0 && books.prompt < share.prompt; --tries) {
    const std::string host = std::move(books.turns.front());
    books.turns.pop_front();
    Host& there = books.hosts[host];
    if (!there.line.empty() && there.running < share.of_host &&
        has_share(there.line.front()->demand)) {
      const WaiterPtr waiter = there.line.front();
      there.line.pop_front();
      --books.waiting;
      waiter->decided = true;
      waiter->granted = true;
      count(waiter->demand, host);
      woken.push_back(waiter);
    }
    there.in_turns = !there.line.empty();
    if (there.in_turns) books.turns.push_back(host);
    forget_if_idle(books, host);
  }
  return woken;
}

// Too many are slow: of the address that has most of them, the one that has been for longest ends.
void Places::make_way(Cause cause) {
  Books& books = this->books(cause);
  size_t staying = 0;
  std::map<std::string_view, size_t> of_host;
  for (const Place* place : books.slow_ones) {
    if (place->making_way_) continue;
    ++staying;
    ++of_host[place->host_];
  }
  if (staying <= share(cause).slow) return;
  const auto most =
      std::ranges::max_element(of_host, {}, [](const auto& entry) { return entry.second; });
  const auto chosen = std::ranges::find_if(books.slow_ones, [&](const Place* place) {
    return !place->making_way_ && place->host_ == most->first;
  });
  Place& place = **chosen;
  place.making_way_ = true;
  runtime::spawn(runtime_, runtime_.shard(place.shard_), "egress makes way",
                 call(std::weak_ptr(place.end_)));
}

void Places::forget_if_idle(Books& books, const std::string& host) {
  const auto there = books.hosts.find(host);
  if (there == books.hosts.end()) return;
  const Host& idle = there->second;
  if (idle.running == 0 && idle.line.empty() && !idle.in_turns) books.hosts.erase(there);
}

void Places::give_up(const WaiterPtr& waiter, const std::string& host) {
  {
    const base::Lock lock(mutex_);
    if (waiter->decided) return;
    waiter->decided = true;
    Books& books = this->books(waiter->demand.cause);
    std::erase(books.hosts[host].line, waiter);
    --books.waiting;
    forget_if_idle(books, host);
  }
  wake({waiter});
}

void Places::wake(const std::vector<WaiterPtr>& woken) {
  for (const WaiterPtr& waiter : woken) {
    if (waiter->resume) waiter->resume();
  }
}

}  // namespace polder::egress
