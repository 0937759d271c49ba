// What is nested too deep to be a tree (value.h): read in order and written as canonical JSON,
// without recursion and in a time that does not grow with the depth.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "homeserver/base/json/value.h"

namespace polder::json {

class NestedText {
 public:
  // Of an array or object; key() comes before the value that has it.
  void open(char bracket);
  void close();
  void key(std::string_view name);
  void scalar(const Value& value);

  size_t bytes() const { return nodes_.size() + text_.size(); }

  // Once all that was opened is closed; false if an object has a key twice.
  bool write(std::string& out) const;

 private:
  // In the order in which they were read: an array's or object's first child is the next node.
  struct Node {
    uint32_t key = 0;  // where in text_
    uint32_t text = 0;
    uint32_t text_end = 0;
    uint32_t end = 0;  // the node behind it and all that is in it
    char bracket = 0;  // 0 of a scalar
  };
  // A node that is being written.
  struct Open {
    std::vector<uint32_t> children;
    size_t written = 0;
    char bracket = 0;
  };

  Node& add(char bracket);
  std::string_view key_of(uint32_t node) const;
  bool enter(uint32_t node, std::vector<Open>& open) const;

  std::string text_;  // keys as they are, scalars as JSON
  std::vector<Node> nodes_;
  std::vector<uint32_t> open_;
  uint32_t key_ = 0;  // of the node that comes next
};

}  // namespace polder::json
