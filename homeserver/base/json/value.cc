#include "homeserver/base/json/value.h"

#include <algorithm>

namespace polder::json {
namespace {

// Most keys differ in length, which is compared first: up to here, looking at each is faster than
// to search.
constexpr size_t kFewMembers = 8;

template <class Members>
auto lower_bound(Members& members, std::string_view key) {
  return std::lower_bound(
      members.begin(), members.end(), key,
      [](const Object::Member& member, std::string_view wanted) { return member.first < wanted; });
}

}  // namespace

Object::Object() = default;
Object::Object(const Object&) = default;
Object::Object(Object&&) noexcept = default;
Object& Object::operator=(const Object&) = default;
Object& Object::operator=(Object&&) noexcept = default;
Object::~Object() = default;

Object::Object(std::initializer_list<Member> members) {
  members_.reserve(members.size());
  for (const Member& member : members)
    set(member.first, member.second);
}

const Value* Object::find(std::string_view key) const {
  if (members_.size() <= kFewMembers) {
    for (const auto& [name, value] : members_) {
      if (name == key) return &value;
    }
    return nullptr;
  }
  const auto place = lower_bound(members_, key);
  return place != members_.end() && place->first == key ? &place->second : nullptr;
}

Value* Object::find(std::string_view key) {
  return const_cast<Value*>(std::as_const(*this).find(key));
}

Value& Object::set(std::string key, Value value) {
  const auto place = lower_bound(members_, key);
  if (place != members_.end() && place->first == key) return place->second = std::move(value);
  return members_.emplace(place, std::move(key), std::move(value))->second;
}

bool Object::erase(std::string_view key) {
  const auto place = lower_bound(members_, key);
  if (place == members_.end() || place->first != key) return false;
  members_.erase(place);
  return true;
}

size_t Object::size() const {
  return members_.size();
}
bool Object::empty() const {
  return members_.empty();
}
const Object::Member* Object::begin() const {
  return members_.data();
}
const Object::Member* Object::end() const {
  return members_.data() + members_.size();
}
Object::Member* Object::begin() {
  return members_.data();
}
Object::Member* Object::end() {
  return members_.data() + members_.size();
}

const std::string* Object::find_string(std::string_view key) const {
  const Value* value = find(key);
  return value != nullptr ? value->as_string() : nullptr;
}

const Object* Object::find_object(std::string_view key) const {
  const Value* value = find(key);
  return value != nullptr ? value->as_object() : nullptr;
}

const Array* Object::find_array(std::string_view key) const {
  const Value* value = find(key);
  return value != nullptr ? value->as_array() : nullptr;
}

std::optional<int64_t> Object::find_int(std::string_view key) const {
  const Value* value = find(key);
  const int64_t* number = value != nullptr ? value->as_int() : nullptr;
  return number != nullptr ? std::optional(*number) : std::nullopt;
}

std::optional<bool> Object::find_bool(std::string_view key) const {
  const Value* value = find(key);
  const bool* flag = value != nullptr ? value->as_bool() : nullptr;
  return flag != nullptr ? std::optional(*flag) : std::nullopt;
}

bool Object::assign_unsorted(std::vector<Member> members) {
  const auto by_key = [](const Member& a, const Member& b) { return a.first < b.first; };
  // Most input is sorted already: what servers send is canonical.
  if (!std::is_sorted(members.begin(), members.end(), by_key))
    std::sort(members.begin(), members.end(), by_key);
  const auto same_key = [](const Member& a, const Member& b) { return a.first == b.first; };
  members_ = std::move(members);
  return std::adjacent_find(members_.begin(), members_.end(), same_key) == members_.end();
}

bool operator==(const Object& a, const Object& b) {
  return a.members_ == b.members_;
}

Value object(std::initializer_list<Object::Member> members) {
  return Object(members);
}

const Value* at(const Object& object, std::initializer_list<std::string_view> path) {
  const Object* here = &object;
  const Value* found = nullptr;
  for (const std::string_view key : path) {
    found = here != nullptr ? here->find(key) : nullptr;
    if (found == nullptr) return nullptr;
    here = found->as_object();
  }
  return found;
}

}  // namespace polder::json
