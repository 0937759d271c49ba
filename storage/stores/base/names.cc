#include "storage/stores/base/names.h"

#include <atomic>

#include "homeserver/base/values/disk.h"
#include "homeserver/base/values/mutex.h"
#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/base/columns.h"
#include "storage/stores/base/name_cache.h"

namespace polder::stores {
namespace {

constexpr uint8_t kFormat = 1;

std::string name_key(NameKind kind, std::string_view name) {
  return keys::KeyWriter(static_cast<uint8_t>(kind)).tail(name).str();
}

std::string number_key(NameKind kind, uint64_t number) {
  return keys::KeyWriter(static_cast<uint8_t>(kind)).u64(number).str();
}

Result<uint64_t> decode_number(std::string_view value) {
  keys::ValueReader reader(value, kFormat);
  const uint64_t number = reader.varint();
  POLDER_CHECK(reader.finish("interned name"));
  return number;
}

Result<std::optional<uint64_t>> read_number(const kv::Database& database, NameKind kind,
                                            std::string_view name) {
  POLDER_TRY(const uint64_t number, Names::find_in(*database.snapshot(), kind, name));
  return number > 0 ? std::optional(number) : std::optional<uint64_t>();
}

}  // namespace

// The names of one kind. A name that is not durable is in both directions, pinned; the parts of
// the first direction are locked before those of the second.
struct Names::Table {
  static constexpr size_t kParts = 16;

  template <class Key>
  struct Part {
    explicit Part(size_t entries_max) : cache(entries_max) {}
    base::Mutex mutex;
    NameCache<Key> cache GUARDED_BY(mutex);
  };

  explicit Table(size_t cached_max) {
    for (size_t i = 0; i < kParts; ++i) {
      by_name.push_back(std::make_unique<Part<std::string_view>>(cached_max / kParts + 1));
      by_number.push_back(std::make_unique<Part<uint64_t>>(cached_max / kParts + 1));
    }
  }

  Part<std::string_view>& part_of(std::string_view name) {
    return *by_name[std::hash<std::string_view>()(name) % kParts];
  }
  Part<uint64_t>& part_of(uint64_t number) { return *by_number[number % kParts]; }

  std::vector<std::unique_ptr<Part<std::string_view>>> by_name;
  std::vector<std::unique_ptr<Part<uint64_t>>> by_number;
  std::atomic<uint64_t> next = 1;
};

Names::Names(const kv::Database& database, size_t cached_max) : database_(database) {
  for (auto& each : tables_)
    each = std::make_unique<Table>(cached_max);
}

Names::~Names() = default;

Result<std::unique_ptr<Names>> Names::open(const kv::Database& database, size_t cached_max) {
  std::unique_ptr<Names> names(new Names(database, cached_max));
  const auto snapshot = database.snapshot();
  for (uint8_t kind = 1; kind < kNameKinds; ++kind) {
    const auto numbers = snapshot->iterate(kNumbers, kv::prefix_range(keys::KeyWriter(kind).str()));
    numbers->seek_to_last();
    if (numbers->valid()) {
      keys::KeyReader key(numbers->key());
      key.u8();
      names->tables_[kind]->next = key.u64() + 1;
      if (!key.at_end()) return fail(ErrorCode::kCorrupt, "damaged key in column numbers");
    }
    POLDER_CHECK(numbers->status());
  }
  return names;
}

std::optional<uint64_t> Names::known(NameKind kind, std::string_view name) const {
  auto& part = table(kind).part_of(name);
  const base::Lock lock(part.mutex);
  const auto* known = part.cache.look_up(name);
  return known != nullptr ? std::optional(known->number) : std::nullopt;
}

Result<std::optional<uint64_t>> Names::find(NameKind kind, std::string_view name) const {
  base::note_disk_use("names");  // whether or not it is held this time
  if (const auto number = known(kind, name)) return std::optional(*number);
  auto& part = table(kind).part_of(name);
  POLDER_TRY(const auto number, read_number(database_, kind, name));
  const base::Lock lock(part.mutex);
  if (number) part.cache.insert(name, *number, false);
  // Given since, and not on disk yet.
  const auto* known = part.cache.find(name);
  return known != nullptr ? std::optional(known->number) : number;
}

Result<uint64_t> Names::intern(NameKind kind, std::string_view name, kv::Batch& batch,
                               NewNames& written) {
  base::note_disk_use("names");
  Table& names = table(kind);
  auto& part = names.part_of(name);
  base::Lock lock(part.mutex);
  auto* known = part.cache.look_up(name);
  while (known == nullptr) {
    const uint64_t replaced = part.cache.replaced();
    lock.unlock();
    const auto number = read_number(database_, kind, name);
    lock.lock();
    if (!number.ok()) return number.error();
    known = part.cache.find(name);
    if (known != nullptr) break;
    // It may have been given, made durable and made room while nobody looked.
    if (!*number && part.cache.replaced() != replaced) continue;
    const uint64_t given = *number ? **number : names.next++;
    part.cache.insert(name, given, !*number);
    known = part.cache.find(name);
    auto& back = names.part_of(given);
    const base::Lock back_lock(back.mutex);
    back.cache.insert(name, given, !*number);
  }
  if (known->pinned) {
    batch.put(kNames, name_key(kind, name), keys::ValueWriter(kFormat).varint(known->number).str());
    batch.put(kNumbers, number_key(kind, known->number),
              keys::ValueWriter(kFormat).tail(name).str());
    written.entries_.emplace_back(kind, name);
  }
  return known->number;
}

void Names::committed(const NewNames& written) {
  for (const auto& [kind, name] : written.entries_) {
    Table& names = table(kind);
    auto& part = names.part_of(name);
    const base::Lock lock(part.mutex);
    const auto* known = part.cache.find(name);
    if (known == nullptr) continue;
    auto& back = names.part_of(known->number);
    const base::Lock back_lock(back.mutex);
    back.cache.unpin(known->number);
    part.cache.unpin(name);
  }
}

Result<std::string> Names::name(NameKind kind, uint64_t number) const {
  base::note_disk_use("names");
  auto& part = table(kind).part_of(number);
  {
    const base::Lock lock(part.mutex);
    if (const auto* known = part.cache.look_up(number)) return known->text;
  }
  POLDER_TRY(auto value, database_.snapshot()->get(kNumbers, number_key(kind, number)));
  if (!value) return fail(ErrorCode::kCorrupt, "a number without a name is in use");
  keys::ValueReader reader(*value, kFormat);
  std::string name(reader.tail());
  POLDER_CHECK(reader.finish("interned name"));
  const base::Lock lock(part.mutex);
  part.cache.insert(name, number, false);
  return name;
}

metrics::CacheFigures Names::figures(NameKind kind) const {
  metrics::CacheFigures all;
  const Table& names = table(kind);
  for (const auto& part : names.by_name) {
    const base::Lock lock(part->mutex);
    all += part->cache.figures();
  }
  for (const auto& part : names.by_number) {
    const base::Lock lock(part->mutex);
    all += part->cache.figures();
  }
  return all;
}

Result<uint64_t> Names::find_in(const kv::Snapshot& snapshot, NameKind kind,
                                std::string_view name) {
  POLDER_TRY(const auto value, snapshot.get(kNames, name_key(kind, name)));
  return value ? decode_number(*value) : Result<uint64_t>(0);
}

Status Names::check(const kv::Snapshot& snapshot) {
  uint64_t names = 0;
  uint64_t numbers = 0;
  const auto forward = snapshot.iterate(kNames, {});
  for (forward->seek_to_first(); forward->valid(); forward->next(), ++names) {
    POLDER_TRY(const uint64_t number, decode_number(forward->value()));
    const auto kind = static_cast<NameKind>(forward->key().at(0));
    POLDER_TRY(const auto back, snapshot.get(kNumbers, number_key(kind, number)));
    if (!back || std::string_view(*back).substr(1) != forward->key().substr(1)) {
      return fail(ErrorCode::kCorrupt, "interned name and number disagree");
    }
  }
  POLDER_CHECK(forward->status());
  const auto backward = snapshot.iterate(kNumbers, {});
  for (backward->seek_to_first(); backward->valid(); backward->next())
    ++numbers;
  POLDER_CHECK(backward->status());
  // Every name has its own number that leads back to it; equal counts leave no number over.
  if (names != numbers)
    return fail(ErrorCode::kCorrupt, "interned names and numbers differ in count");
  return {};
}

}  // namespace polder::stores
