#include "homeserver/rooms/read/threads.h"

#include <algorithm>

#include "storage/stores/rooms/relation_rows.h"

namespace polder::rooms {
namespace {

constexpr size_t kRepliesPage = 100;
constexpr size_t kRepliesMax = 10'000;  // of one thread
constexpr size_t kThreadsMax = 10'000;  // threads for one page

using stores::DepthPlace;

// What is stored of a thread bounds where its latest reply is; where that is for the reader is
// found only once the bound's turn has come.
class Reading {
 public:
  Reading(const RoomReader& room, const ReaderOf& reader, ThreadsQuery query)
      : room_(room), reader_(reader), query_(query) {}

  Result<ThreadsPage> run() {
    POLDER_TRY(auto stored, stores::read_threads(room_.snapshot(), room_.head().number));
    for (stores::Thread& thread : stored)
      waiting_.push_back({{0, {}, thread.latest}, std::move(thread.root)});
    std::ranges::make_heap(waiting_, {}, place_of);
    ThreadsPage page;
    for (size_t looked_at = 0; !waiting_.empty() && looked_at < kThreadsMax; ++looked_at) {
      std::ranges::pop_heap(waiting_, {}, place_of);
      Waiting next = std::move(waiting_.back());
      waiting_.pop_back();
      if (!next.found.event.event) {
        POLDER_CHECK(look_at(std::move(next)));
        continue;
      }
      POLDER_TRY(const bool wanted, is_wanted(next.found));
      if (!wanted) continue;
      page.more = page.threads.size() == query_.limit;
      if (page.more) break;
      page.threads.push_back(std::move(next.found));
    }
    return page;
  }

 private:
  struct Waiting {
    ThreadRoot found;  // without event: only the bound is known
    std::string root;  // its id, as in rows
  };
  static DepthPlace place_of(const Waiting& waiting) { return waiting.found.latest; }

  // Finds the root and the latest reply, if the reader may see both.
  Status look_at(Waiting thread) {
    POLDER_TRY(const auto place, stores::find_event_by_bytes(room_.snapshot(), thread.root));
    if (!place || place->room != room_.head().number) return {};
    POLDER_TRY(HeldEvent root, room_.view().load(place->number));
    if (root.record.standing.outlier) return {};
    POLDER_TRY(const bool visible, room_.visible(reader_, root));
    if (!visible) return {};
    POLDER_TRY(const auto latest, latest_reply(root.event->id()));
    if (!latest) return {};
    waiting_.push_back({{place->number, std::move(root), *latest}, {}});
    std::ranges::push_heap(waiting_, {}, place_of);
    return {};
  }

  // Visits the replies that were not redacted, the last one first, until told to stop.
  Status for_each_reply(const EventId& root,
                        const std::function<Result<bool>(const stores::Relation&)>& visit) const {
    const RoomNumber room = room_.head().number;
    DepthPlace before = stores::kLastPlace;
    for (size_t seen = 0; seen < kRepliesMax; seen += kRepliesPage) {
      POLDER_TRY(const auto page, stores::read_relations_backwards(room_.snapshot(), room, root,
                                                                   before, kRepliesPage));
      for (const stores::Relation& relation : page) {
        if (relation.rel_type != "m.thread") continue;
        POLDER_TRY(const bool redacted, room_.is_redacted(relation.child));
        if (redacted) continue;
        POLDER_TRY(const bool go_on, visit(relation));
        if (!go_on) return {};
      }
      if (page.size() < kRepliesPage) return {};
      before = page.back().place;
    }
    return {};
  }

  Result<std::optional<DepthPlace>> latest_reply(const EventId& root) const {
    std::optional<DepthPlace> latest;
    POLDER_CHECK(for_each_reply(root, [&](const stores::Relation& relation) -> Result<bool> {
      POLDER_TRY(const HeldEvent held, room_.view().load(relation.child));
      POLDER_TRY(const bool visible, room_.visible(reader_, held));
      const bool shown = visible && !reader_.hides(held.event->sender().view(), false);
      if (shown) latest = relation.place;
      return !shown;
    }));
    return latest;
  }

  Result<bool> is_wanted(const ThreadRoot& thread) const {
    if (thread.latest >= query_.before) return false;
    if (!query_.participated || thread.event.event->sender() == reader_.user) return true;
    bool participated = false;
    POLDER_CHECK(
        for_each_reply(thread.event.event->id(), [&](const stores::Relation& r) -> Result<bool> {
          participated = r.sender == reader_.number;
          return !participated;
        }));
    return participated;
  }

  const RoomReader& room_;
  const ReaderOf& reader_;
  const ThreadsQuery query_;
  std::vector<Waiting> waiting_;  // a heap
};

}  // namespace

Result<ThreadsPage> read_threads(const RoomReader& room, const ReaderOf& reader,
                                 ThreadsQuery query) {
  return Reading(room, reader, query).run();
}

}  // namespace polder::rooms
