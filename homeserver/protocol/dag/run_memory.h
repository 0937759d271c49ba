// Memory for one run of the rules.
#pragma once

#include <array>
#include <cstddef>
#include <memory_resource>

namespace polder::dag {

// Only grows, and is given back whole, with this. What runs need on most days finds room within it.
class RunMemory {
 public:
  RunMemory() = default;
  RunMemory(const RunMemory&) = delete;
  RunMemory& operator=(const RunMemory&) = delete;

  std::pmr::memory_resource* get() { return &resource_; }

 private:
  std::array<std::byte, 6144> first_;
  std::pmr::monotonic_buffer_resource resource_{first_.data(), first_.size(),
                                                std::pmr::new_delete_resource()};
};

}  // namespace polder::dag
