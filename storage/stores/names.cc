#include "storage/stores/names.h"

#include "storage/keys/key.h"
#include "storage/keys/value.h"
#include "storage/stores/columns.h"

namespace polder::stores {
namespace {

constexpr size_t kCachedNamesMax = 200'000;  // of each kind
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

}  // namespace

Result<std::unique_ptr<Names>> Names::open(const kv::Database& database) {
  std::unique_ptr<Names> names(new Names(database));
  const auto snapshot = database.snapshot();
  for (uint8_t kind = 1; kind < kNameKinds; ++kind) {
    const auto numbers = snapshot->iterate(kNumbers, kv::prefix_range(keys::KeyWriter(kind).str()));
    numbers->seek_to_last();
    if (numbers->valid()) {
      keys::KeyReader key(numbers->key());
      key.u8();
      names->tables_[kind].next = key.u64() + 1;
      if (!key.at_end()) return fail(ErrorCode::kCorrupt, "damaged key in column numbers");
    }
    POLDER_CHECK(numbers->status());
  }
  return names;
}

void Names::remember(Table& table, std::string_view name, Entry entry) const {
  if (table.by_name.size() >= kCachedNamesMax) {
    std::erase_if(table.by_name, [](const auto& item) { return item.second.durable; });
    table.by_number.clear();
    for (const auto& [text, kept] : table.by_name)
      table.by_number.emplace(kept.number, text);
  }
  table.by_name.insert_or_assign(std::string(name), entry);
  table.by_number.insert_or_assign(entry.number, std::string(name));
}

Result<std::optional<uint64_t>> Names::find_locked(NameKind kind, std::string_view name) const {
  Table& table = tables_[static_cast<size_t>(kind)];
  if (const auto found = table.by_name.find(std::string(name)); found != table.by_name.end()) {
    return std::optional(found->second.number);
  }
  POLDER_TRY(auto value, database_.snapshot()->get(kNames, name_key(kind, name)));
  if (!value) return std::optional<uint64_t>();
  POLDER_TRY(const uint64_t number, decode_number(*value));
  remember(table, name, {number, true});
  return std::optional(number);
}

Result<std::optional<uint64_t>> Names::find(NameKind kind, std::string_view name) const {
  const std::lock_guard lock(mutex_);
  return find_locked(kind, name);
}

Result<uint64_t> Names::intern(NameKind kind, std::string_view name, kv::Batch& batch,
                               NewNames& written) {
  const std::lock_guard lock(mutex_);
  Table& table = tables_[static_cast<size_t>(kind)];
  POLDER_TRY(const auto known, find_locked(kind, name));
  if (!known) remember(table, name, {table.next++, false});
  const Entry& entry = table.by_name.at(std::string(name));
  if (!entry.durable) {
    batch.put(kNames, name_key(kind, name), keys::ValueWriter(kFormat).varint(entry.number).str());
    batch.put(kNumbers, number_key(kind, entry.number),
              keys::ValueWriter(kFormat).tail(name).str());
    written.entries_.emplace_back(kind, name);
  }
  return entry.number;
}

void Names::committed(const NewNames& names) {
  const std::lock_guard lock(mutex_);
  for (const auto& [kind, name] : names.entries_) {
    Table& table = tables_[static_cast<size_t>(kind)];
    if (const auto found = table.by_name.find(name); found != table.by_name.end())
      found->second.durable = true;
  }
}

Result<std::string> Names::name(NameKind kind, uint64_t number) const {
  const std::lock_guard lock(mutex_);
  Table& table = tables_[static_cast<size_t>(kind)];
  if (const auto found = table.by_number.find(number); found != table.by_number.end())
    return found->second;
  POLDER_TRY(auto value, database_.snapshot()->get(kNumbers, number_key(kind, number)));
  if (!value) return fail(ErrorCode::kCorrupt, "a number without a name is in use");
  keys::ValueReader reader(*value, kFormat);
  std::string name(reader.tail());
  POLDER_CHECK(reader.finish("interned name"));
  remember(table, name, {number, true});
  return name;
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
