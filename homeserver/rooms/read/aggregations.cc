#include "homeserver/rooms/read/aggregations.h"

#include <unordered_map>

#include "homeserver/base/json/write.h"
#include "storage/stores/rooms/relation_rows.h"

namespace polder::rooms {
namespace {

constexpr size_t kChildrenMax = 10'000;  // of one event; older ones are not counted
constexpr size_t kReferencesMax = 100;

using Child = std::pair<EventNumber, HeldEvent>;

class Bundle {
 public:
  Bundle(const RoomReader& room, const ReaderOf& reader, const HeldEvent& event)
      : room_(room), reader_(reader), event_(event) {}

  Status collect() {
    POLDER_TRY(const auto relations, stores::read_relations_backwards(
                                         room_.snapshot(), room_.head().number, event_.event->id(),
                                         stores::kLastPlace, kChildrenMax));
    for (const stores::Relation& relation : relations) {
      POLDER_TRY(const bool ignored, is_ignored(relation.sender));
      if (ignored) continue;
      if (relation.rel_type == "m.thread") {
        POLDER_CHECK(add_to_thread(relation));
      } else if (relation.rel_type == "m.replace") {
        POLDER_CHECK(add_replacement(relation));
      } else if (relation.rel_type == "m.reference" && references_.size() < kReferencesMax) {
        POLDER_TRY(const auto child, visible_child(relation));
        if (child)
          references_.emplace_back(json::object({{"event_id", child->second.event->id().str()}}));
      }
    }
    return {};
  }

  Result<std::string> write(bool redacted) const {
    const bool replaced = replacement_ && !redacted;
    if (!replaced && thread_count_ == 0 && references_.empty()) return std::string();
    std::string text;
    json::Writer writer(text);
    writer.begin_object();
    if (replaced) {
      POLDER_TRY(const std::string replacement, client_event(*replacement_, false));
      writer.key("m.replace").raw(replacement);
    }
    if (thread_count_ > 0) {
      POLDER_TRY(const std::string latest, client_event(*thread_latest_, !in_thread()));
      writer.key("m.thread").begin_object().key("latest_event").raw(latest);
      writer.member("count", thread_count_).member("current_user_participated", participated_);
      writer.end_object();
    }
    if (!references_.empty())
      writer.key("m.reference").begin_object().key("chunk").value(references_).end_object();
    writer.end_object();
    return text;
  }

 private:
  // Threads do not nest: whoever made them do so anyway gets no bundles of bundles.
  bool in_thread() const {
    const json::Object* relates_to = event_.event->content().find_object("m.relates_to");
    return relates_to != nullptr && relates_to->contains("rel_type");
  }

  // What is aggregated is never state.
  Result<bool> is_ignored(stores::UserNumber sender) {
    if (!reader_.ignored) return false;
    const auto known = ignored_.find(sender);
    if (known != ignored_.end()) return known->second;
    POLDER_TRY(const std::string name, room_.view().names().name(stores::NameKind::kUser, sender));
    return ignored_[sender] = reader_.hides(name, false);
  }

  Result<std::optional<Child>> visible_child(const stores::Relation& relation) const {
    POLDER_TRY(const bool redacted, room_.is_redacted(relation.child));
    if (redacted) return std::optional<Child>();
    POLDER_TRY(HeldEvent held, room_.view().load(relation.child));
    POLDER_TRY(const bool visible, room_.visible(reader_, held));
    return visible ? std::optional(Child{relation.child, std::move(held)}) : std::optional<Child>();
  }

  // Newest first: the first that is seen is the latest. The others are counted without being read.
  Status add_to_thread(const stores::Relation& relation) {
    if (!thread_latest_) {
      POLDER_TRY(thread_latest_, visible_child(relation));
      if (!thread_latest_) return {};
    } else {
      POLDER_TRY(const bool redacted, room_.is_redacted(relation.child));
      if (redacted) return {};
    }
    ++thread_count_;
    participated_ = participated_ || relation.sender == reader_.number ||
                    event_.event->sender() == reader_.user;
    return {};
  }

  // https://spec.matrix.org/v1.19/client-server-api/#validity-of-replacement-events
  Status add_replacement(const stores::Relation& relation) {
    if (relation.type != event_.event->type() || event_.event->is_state()) return {};
    POLDER_TRY(auto child, visible_child(relation));
    if (!child) return {};
    const events::Event& edit = *child->second.event;
    const json::Object* relates_to = event_.event->content().find_object("m.relates_to");
    const bool edits_an_edit = relates_to != nullptr &&
                               relates_to->find_string("rel_type") != nullptr &&
                               *relates_to->find_string("rel_type") == "m.replace";
    const bool whole =
        edit.type() == "m.room.encrypted" || edit.content().contains("m.new_content");
    if (edit.sender() != event_.event->sender() || edits_an_edit || !whole) return {};
    const auto age = [](const events::Event& event) {
      return std::pair(event.origin_server_ts(), event.id().view());
    };
    if (!replacement_ || age(edit) > age(*replacement_->second.event))
      replacement_ = std::move(child);
    return {};
  }

  Result<std::string> client_event(const Child& child, bool with_replacement) const {
    RoomReader::ClientOptions options;
    options.bundle = with_replacement;
    return room_.client_event(reader_, child.first, child.second, options);
  }

  const RoomReader& room_;
  const ReaderOf& reader_;
  const HeldEvent& event_;
  std::unordered_map<stores::UserNumber, bool> ignored_;  // of the senders seen
  std::optional<Child> replacement_;
  std::optional<Child> thread_latest_;
  int64_t thread_count_ = 0;
  bool participated_ = false;
  json::Array references_;
};

}  // namespace

Result<std::string> bundled_relations(const RoomReader& room, const ReaderOf& reader,
                                      const HeldEvent& event, bool redacted) {
  Bundle bundle(room, reader, event);
  POLDER_CHECK(bundle.collect());
  return bundle.write(redacted);
}

}  // namespace polder::rooms
