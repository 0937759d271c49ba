// A row of every kind, made of what the table of kinds says.
#pragma once

#include <string>

#include "storage/keys/key.h"
#include "storage/stores/base/rows.h"

namespace polder::stores {

// Its first number is the owner's.
inline std::string sample_key(const RowKind& kind, uint64_t owner) {
  keys::KeyWriter key;
  if (kind.tag != kUntagged) key.u8(kind.tag);
  uint64_t number = owner;
  for (const KeyPart& part : kind.key) {
    switch (part.form) {
      case Form::kNone:
        break;
      case Form::kLiteral:
        key.tail(part.name);
        break;
      case Form::kByte:
        key.u8(1);
        break;
      case Form::kDay:
        key.u32(1);
        break;
      case Form::kNumber:
        key.u64(std::exchange(number, 1));
        break;
      case Form::kHash:
        key.tail(std::string(32, 'h'));
        break;
      case Form::kText:
        key.text("text");
        break;
      case Form::kRest:
        key.tail("rest");
        break;
    }
  }
  return key.str();
}

inline std::string sample_value(const RowKind& kind) {
  return std::string(1, static_cast<char>(kind.format));
}

}  // namespace polder::stores
