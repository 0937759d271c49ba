#include "storage/stores/base/row_forms.h"

#include "storage/keys/key.h"

namespace polder::stores {
namespace {

constexpr size_t kHashBytes = 32;

bool is_literal(const RowKind& kind) {
  return kind.key[0].form == Form::kLiteral;
}

bool matches(const RowKind& kind, std::string_view key) {
  if (is_literal(kind)) return key == kind.key[0].name;
  return kind.tag == kUntagged || (!key.empty() && static_cast<uint8_t>(key.front()) == kind.tag);
}

// Takes a part off; false if it is not there.
bool skip_part(keys::KeyReader& key, const KeyPart& part) {
  switch (part.form) {
    case Form::kByte:
      key.u8();
      break;
    case Form::kDay:
      key.u32();
      break;
    case Form::kNumber:
      key.u64();
      break;
    case Form::kHash:
      for (size_t i = 0; i < kHashBytes / sizeof(uint64_t); ++i)
        key.u64();
      break;
    case Form::kText:
      key.text();
      break;
    case Form::kRest:
      key.tail();
      break;
    case Form::kNone:
    case Form::kLiteral:
      break;
  }
  return key.ok();
}

bool has_form(const RowKind& kind, std::string_view bytes) {
  if (is_literal(kind)) return true;
  keys::KeyReader key(bytes);
  if (kind.tag != kUntagged) key.u8();
  for (const KeyPart& part : kind.key) {
    if (!skip_part(key, part)) return false;
  }
  return key.at_end();
}

std::string_view name_of(Owner owner) {
  switch (owner) {
    case Owner::kServer:
      return "server";
    case Owner::kRoom:
      return "room";
    case Owner::kUser:
      return "user";
    case Owner::kOtherServer:
      return "other server";
    case Owner::kMedia:
      return "media";
  }
  return {};
}

std::string_view name_of(Lifetime lifetime) {
  switch (lifetime) {
    case Lifetime::kForGood:
      return "for good";
    case Lifetime::kReplaced:
      return "until replaced";
    case Lifetime::kUsed:
      return "until done";
    case Lifetime::kRoom:
      return "with the room";
    case Lifetime::kPurge:
      return "until the room is purged";
    case Lifetime::kEvent:
      return "with the event";
    case Lifetime::kDevice:
      return "with the device";
    case Lifetime::kDeactivated:
      return "until the user is erased";
    case Lifetime::kSession:
      return "with the session";
    case Lifetime::kMedia:
      return "with the media";
    case Lifetime::kConfigured:
      return "as configured";
  }
  return {};
}

std::string printable(std::string_view literal) {
  std::string text = "`\"";
  for (const char c : literal) {
    if (c == '\0') {
      text += "\\0";
    } else {
      text += c;
    }
  }
  return text + "\"`";
}

std::string describe_part(const KeyPart& part) {
  const std::string name(part.name);
  switch (part.form) {
    case Form::kLiteral:
      return printable(part.name);
    case Form::kByte:
      return name + " (u8)";
    case Form::kDay:
      return name + " (u32)";
    case Form::kHash:
      return name + " (32 bytes)";
    case Form::kText:
      return name + " (text)";
    case Form::kRest:
      return name + "…";
    case Form::kNumber:
    case Form::kNone:
      break;
  }
  return name;
}

std::string describe_key(const RowKind& kind) {
  std::string text;
  if (kind.tag != kUntagged) text = std::to_string(kind.tag);
  for (const KeyPart& part : kind.key) {
    if (part.form == Form::kNone) break;
    if (!text.empty()) text += ", ";
    text += describe_part(part);
  }
  return text;
}

constexpr std::string_view kHead = R"(# Columns and rows

Written by `polder formats` from the table in `storage/stores/base/rows.h`: change that, and then run
`tests/conformance/formats.py build/release/polder`.

Keys begin with the tag, where there is one. Numbers are 8 bytes, big-endian; *(text)* has its length before it; a part
with … reaches to the end of the key. Users, servers, rooms, types and state keys are interned (`names`), but where it
says *id*. Event numbers are per room, from 1. Values begin with a format byte: see [encoding](encoding.md).

The owner is what a row belongs to, and the last column when it goes: *for good* as long as the database; *until replaced*
by a newer one; *until done*, that is what it stands for; *with the room* in the batch that purges it, *until the room is
purged* after that batch; *with the event* or membership that it leads to; *with the device*, *the session*, *the media*;
*until the user is erased*, which is a deactivation with erasure; *as configured*, until it is too old, or all of its kind
are too much.

)";

}  // namespace

const RowKind* find_row_kind(kv::ColumnId column, std::string_view key) {
  for (const RowKind& kind : kRowKinds) {
    if (kind.column == column && matches(kind, key)) return &kind;
  }
  return nullptr;
}

std::optional<std::string> row_fault(kv::ColumnId column, std::string_view key,
                                     std::string_view value) {
  const RowKind* kind = find_row_kind(column, key);
  if (kind == nullptr) {
    const std::string tag =
        key.empty() ? "an empty key" : "tag " + std::to_string(static_cast<uint8_t>(key.front()));
    return "unknown kind of row in column " + std::string(kColumns[column].name) + ": " + tag;
  }
  const auto damaged = [&](std::string_view what) {
    return "damaged row in column " + std::string(kColumns[column].name) + " (" +
           std::string(kind->name) + "): " + std::string(what);
  };
  if (!has_form(*kind, key)) return damaged("its key has other parts");
  if (kind->format == kRawValue) return std::nullopt;
  if (value.empty() || static_cast<uint8_t>(value.front()) != kind->format)
    return damaged("its value has another format");
  return std::nullopt;
}

std::vector<RowRange> rows_of(uint64_t owner, Lifetime lifetime) {
  std::vector<RowRange> ranges;
  for (const RowKind& kind : kRowKinds) {
    if (kind.lifetime != lifetime) continue;
    keys::KeyWriter key;
    if (kind.tag != kUntagged) key.u8(kind.tag);
    ranges.emplace_back(kind.column, kv::prefix_range(key.u64(owner)));
  }
  return ranges;
}

std::string describe_rows() {
  std::string text(kHead);
  text += "| column | what for |\n|---|---|\n";
  for (const kv::ColumnSpec& column : kColumns)
    text += "| " + std::string(column.name) + " | " + std::string(column.purpose) + " |\n";
  text += "\n| column | row | key | value | owner | stays |\n|---|---|---|---|---|---|\n";
  for (const RowKind& kind : kRowKinds) {
    const std::string key = describe_key(kind);
    for (const std::string_view cell :
         {kColumns[kind.column].name, kind.name, std::string_view(key), kind.value,
          name_of(kind.owner), name_of(kind.lifetime)}) {
      text.append("| ").append(cell).append(" ");
    }
    text += "|\n";
  }
  return text;
}

}  // namespace polder::stores
