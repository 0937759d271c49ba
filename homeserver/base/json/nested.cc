#include "homeserver/base/json/nested.h"

#include <algorithm>

#include "homeserver/base/json/write.h"

namespace polder::json {

NestedText::Node& NestedText::add(char bracket) {
  const auto here = static_cast<uint32_t>(text_.size());
  return nodes_.emplace_back(Node{.key = key_, .text = here, .text_end = here, .bracket = bracket});
}

void NestedText::open(char bracket) {
  open_.push_back(static_cast<uint32_t>(nodes_.size()));
  add(bracket);
  key_ = static_cast<uint32_t>(text_.size());
}

void NestedText::close() {
  nodes_[open_.back()].end = static_cast<uint32_t>(nodes_.size());
  open_.pop_back();
  key_ = static_cast<uint32_t>(text_.size());
}

void NestedText::key(std::string_view name) {
  key_ = static_cast<uint32_t>(text_.size());
  text_.append(name);
}

void NestedText::scalar(const Value& value) {
  Node& node = add(0);
  // The reader has just seen that it is a number; write_to() would read it again, with the parser
  // that is in the midst of this document.
  if (const Number* number = value.as_number()) {
    text_.append(number->text);
  } else {
    write_to(value, text_);
  }
  node.text_end = static_cast<uint32_t>(text_.size());
  node.end = static_cast<uint32_t>(nodes_.size());
  key_ = node.text_end;
}

std::string_view NestedText::key_of(uint32_t node) const {
  return std::string_view(text_).substr(nodes_[node].key, nodes_[node].text - nodes_[node].key);
}

// False if it has a key twice.
bool NestedText::enter(uint32_t node, std::vector<Open>& open) const {
  Open& entered = open.emplace_back(Open{.children = {}, .bracket = nodes_[node].bracket});
  auto& children = entered.children;
  for (uint32_t child = node + 1; child < nodes_[node].end; child = nodes_[child].end)
    children.push_back(child);
  if (entered.bracket == '[') return true;
  const auto key = [this](uint32_t child) { return key_of(child); };
  std::ranges::sort(children, {}, key);
  return std::ranges::adjacent_find(children, {}, key) == children.end();
}

bool NestedText::write(std::string& out) const {
  std::vector<Open> open;
  const auto write_node = [&](uint32_t node) {
    const Node& wanted = nodes_[node];
    if (wanted.bracket == 0) {
      out.append(text_, wanted.text, wanted.text_end - wanted.text);
      return true;
    }
    out.push_back(wanted.bracket);
    return enter(node, open);
  };
  if (!write_node(0)) return false;
  while (!open.empty()) {
    Open& innermost = open.back();
    if (innermost.written == innermost.children.size()) {
      out.push_back(innermost.bracket == '{' ? '}' : ']');
      open.pop_back();
      continue;
    }
    if (innermost.written > 0) out.push_back(',');
    const uint32_t child = innermost.children[innermost.written++];
    if (innermost.bracket == '{') {
      write_string_to(key_of(child), out);
      out.push_back(':');
    }
    if (!write_node(child)) return false;
  }
  return true;
}

}  // namespace polder::json
