#include "homeserver/rooms/write/pieces.h"

#include <algorithm>
#include <memory>

#include "homeserver/base/runtime/sync.h"

namespace polder::rooms {
namespace {

constexpr size_t kPieceSize = 64;
constexpr size_t kPiecesAtOnce = 4;  // of one list, or as many as there are cores

struct List {
  size_t count = 0;
  std::function<void(size_t)> work;
  size_t next = 0;
};

Task<void> go_through(runtime::Runtime& runtime, std::shared_ptr<List> list) {
  while (list->next < list->count) {
    const size_t first = list->next;
    list->next = std::min(first + kPieceSize, list->count);
    const size_t end = list->next;
    co_await runtime::on_pool(runtime, runtime::Lane::kLong, [list, first, end] {
      for (size_t i = first; i < end; ++i)
        list->work(i);
    });
  }
}

}  // namespace

Task<void> for_each_on_pool(runtime::Runtime& runtime, size_t count,
                            std::function<void(size_t)> work) {
  const auto list = std::make_shared<List>();
  list->count = count;
  list->work = std::move(work);
  runtime::TaskGroup group(runtime);
  const auto here = runtime.shard(runtime.current_shard());
  const size_t at_once = std::max(kPiecesAtOnce, runtime.shard_count());
  for (size_t i = 0; i < at_once && i * kPieceSize < count; ++i)
    group.spawn(here, "pieces_of_a_list", go_through(runtime, list));
  co_await group.wait_all();
}

}  // namespace polder::rooms
