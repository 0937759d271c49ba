#include "homeserver/base/egress/slots.h"

#include <algorithm>

namespace polder::egress {
namespace {

Task<void> call(std::weak_ptr<std::function<void()>> end) {
  if (const auto alive = end.lock()) (*alive)();
  co_return;
}

}  // namespace

Slots::Slot::Slot(std::shared_ptr<Slots> slots, Demand demand, std::string host)
    : slots_(std::move(slots)),
      demand_(std::move(demand)),
      host_(std::move(host)),
      shard_(slots_->runtime_.current_shard()) {}

Slots::Slot::~Slot() {
  std::vector<WaiterPtr> woken;
  {
    const base::Lock lock(slots_->mutex_);
    slots_->give_back(*this, woken);
  }
  wake(woken);
}

void Slots::Slot::becomes_slow(std::function<void()> end) {
  std::vector<WaiterPtr> woken;
  end_ = std::make_shared<std::function<void()>>(std::move(end));
  {
    const base::Lock lock(slots_->mutex_);
    if (slow_) return;
    slow_ = true;
    Usage& usage = slots_->usage(demand_.cause);
    --usage.prompt;
    ++usage.slow;
    usage.slow_ones.push_back(this);
    slots_->make_way(demand_.cause);
    woken = slots_->next_in_line(demand_.cause);
  }
  wake(woken);
}

Task<Result<Slots::SlotPtr>> Slots::take(Demand demand, std::string host,
                                         std::chrono::nanoseconds until) {
  const Error none = fail(ErrorCode::kRateLimited, "too many requests are under way");
  const auto left = until - runtime_.clock().steady();
  const WaiterPtr waiter = std::make_shared<Waiter>();
  {
    const base::Lock lock(mutex_);
    if (fits(demand, host)) {
      count(demand, host);
      co_return std::make_shared<Slot>(shared_from_this(), std::move(demand), std::move(host));
    }
    Usage& usage = this->usage(demand.cause);
    Host& line = usage.hosts[host];
    if (line.line.size() >= share(demand.cause).waiting || usage.waiting >= kWaitingMax ||
        left <= std::chrono::nanoseconds(0)) {
      forget_if_idle(usage, host);
      co_return none;
    }
    waiter->demand = demand;
    line.line.push_back(waiter);
    ++usage.waiting;
    if (!std::exchange(line.in_turns, true)) usage.turns.push_back(host);
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
  co_return std::make_shared<Slot>(shared_from_this(), std::move(demand), std::move(host));
}

bool Slots::hold(Cause cause, size_t bytes) {
  const base::Lock lock(mutex_);
  Usage& usage = this->usage(cause);
  if (bytes > share(cause).bytes - std::min(usage.bytes, share(cause).bytes)) return false;
  usage.bytes += bytes;
  return true;
}

void Slots::release(Cause cause, size_t bytes) {
  const base::Lock lock(mutex_);
  usage(cause).bytes -= bytes;
}

size_t Slots::under_way(Cause cause) const {
  const base::Lock lock(mutex_);
  const Usage& usage = usage_[static_cast<size_t>(cause)];
  return usage.prompt + usage.slow;
}

size_t Slots::in_line(Cause cause) const {
  const base::Lock lock(mutex_);
  return usage_[static_cast<size_t>(cause)].waiting;
}

size_t Slots::held(Cause cause) const {
  const base::Lock lock(mutex_);
  return usage_[static_cast<size_t>(cause)].bytes;
}

bool Slots::fits(const Demand& demand, const std::string& host) {
  Usage& usage = this->usage(demand.cause);
  const Share& share = this->share(demand.cause);
  if (usage.prompt >= share.prompt) return false;
  const auto there = usage.hosts.find(host);
  if (there != usage.hosts.end() &&
      (there->second.running >= share.of_host || !there->second.line.empty()))
    return false;
  return has_share(demand);
}

bool Slots::has_share(const Demand& demand) {
  if (demand.by.empty()) return true;
  Usage& usage = this->usage(demand.cause);
  const auto one = usage.of_one.find(demand.by);
  return one == usage.of_one.end() || one->second < share(demand.cause).of_one;
}

void Slots::count(const Demand& demand, const std::string& host) {
  Usage& usage = this->usage(demand.cause);
  ++usage.prompt;
  ++usage.hosts[host].running;
  if (!demand.by.empty()) ++usage.of_one[demand.by];
}

void Slots::give_back(Slot& slot, std::vector<WaiterPtr>& woken) {
  Usage& usage = this->usage(slot.demand_.cause);
  if (slot.slow_) {
    --usage.slow;
    usage.slow_ones.remove(&slot);
  } else {
    --usage.prompt;
  }
  --usage.hosts[slot.host_].running;
  if (!slot.demand_.by.empty()) {
    const auto one = usage.of_one.find(slot.demand_.by);
    if (--one->second == 0) usage.of_one.erase(one);
  }
  forget_if_idle(usage, slot.host_);
  woken = next_in_line(slot.demand_.cause);
}

// Each address has its turn; those for which there is no slot now keep it for later.
std::vector<Slots::WaiterPtr> Slots::next_in_line(Cause cause) {
  Usage& usage = this->usage(cause);
  const Share& share = this->share(cause);
  std::vector<WaiterPtr> woken;
  for (size_t tries = usage.turns.size(); tries > 0 && usage.prompt < share.prompt; --tries) {
    const std::string host = std::move(usage.turns.front());
    usage.turns.pop_front();
    Host& there = usage.hosts[host];
    if (!there.line.empty() && there.running < share.of_host &&
        has_share(there.line.front()->demand)) {
      const WaiterPtr waiter = there.line.front();
      there.line.pop_front();
      --usage.waiting;
      waiter->decided = true;
      waiter->granted = true;
      count(waiter->demand, host);
      woken.push_back(waiter);
    }
    there.in_turns = !there.line.empty();
    if (there.in_turns) usage.turns.push_back(host);
    forget_if_idle(usage, host);
  }
  return woken;
}

// Too many are slow: of the address that has most of them, the one that has been for longest ends.
void Slots::make_way(Cause cause) {
  Usage& usage = this->usage(cause);
  size_t staying = 0;
  std::map<std::string_view, size_t> of_host;
  for (const Slot* slot : usage.slow_ones) {
    if (slot->making_way_) continue;
    ++staying;
    ++of_host[slot->host_];
  }
  if (staying <= share(cause).slow) return;
  const auto most =
      std::ranges::max_element(of_host, {}, [](const auto& entry) { return entry.second; });
  const auto chosen = std::ranges::find_if(usage.slow_ones, [&](const Slot* slot) {
    return !slot->making_way_ && slot->host_ == most->first;
  });
  Slot& slot = **chosen;
  slot.making_way_ = true;
  runtime::spawn(runtime_, runtime_.shard(slot.shard_), "egress makes way",
                 call(std::weak_ptr(slot.end_)));
}

void Slots::forget_if_idle(Usage& usage, const std::string& host) {
  const auto there = usage.hosts.find(host);
  if (there == usage.hosts.end()) return;
  const Host& idle = there->second;
  if (idle.running == 0 && idle.line.empty() && !idle.in_turns) usage.hosts.erase(there);
}

void Slots::give_up(const WaiterPtr& waiter, const std::string& host) {
  {
    const base::Lock lock(mutex_);
    if (waiter->decided) return;
    waiter->decided = true;
    Usage& usage = this->usage(waiter->demand.cause);
    std::erase(usage.hosts[host].line, waiter);
    --usage.waiting;
    forget_if_idle(usage, host);
  }
  wake({waiter});
}

void Slots::wake(const std::vector<WaiterPtr>& woken) {
  for (const WaiterPtr& waiter : woken) {
    if (waiter->resume) waiter->resume();
  }
}

}  // namespace polder::egress
