// What modules count and measure, and how it is told to Prometheus.
//
// A module keeps counters and histograms as members of what it counts, and has one probe (probe.h):
// a function that tells their values, and whatever else can be looked up cheaply, to a sink. The
// probes of a server are joined in a registry.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace polder::metrics {

// Thread-safe.
class Counter {
 public:
  void add(uint64_t more = 1) { value_.fetch_add(more, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_ = 0;
};

// How long things took. Thread-safe.
class Histogram {
 public:
  // Upper bounds in seconds, from what a cached read takes to a long poll's end.
  static constexpr std::array<double, 14> kBounds = {
      0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30};

  void observe(double seconds);
  // By bucket, not summed up; the last is of all that took longer.
  uint64_t in_bucket(size_t bucket) const {
    return counts_[bucket].load(std::memory_order_relaxed);
  }
  double sum() const { return static_cast<double>(sum_us_.load(std::memory_order_relaxed)) / 1e6; }

 private:
  std::array<std::atomic<uint64_t>, kBounds.size() + 1> counts_{};
  std::atomic<uint64_t> sum_us_ = 0;
};

using Labels = std::vector<std::pair<std::string, std::string>>;

// Names follow https://prometheus.io/docs/practices/naming/; help is a sentence. The same name
// comes with the same help, and with the same names of labels.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void counter(std::string_view name, std::string_view help, Labels labels,
                       double value) = 0;
  virtual void gauge(std::string_view name, std::string_view help, Labels labels, double value) = 0;
  virtual void histogram(std::string_view name, std::string_view help, Labels labels,
                         const Histogram& values) = 0;
};

// Called from any thread; quick, and takes no lock that is held while the disk is read.
using Probe = std::function<void(Sink&)>;

// Thread-safe, once it has all its probes.
class Registry {
 public:
  // What the probe looks at outlives the registry. Before the first text().
  void add(Probe probe);
  // All that the probes tell now.
  // https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
  std::string text() const;

 private:
  std::vector<Probe> probes_;
};

}  // namespace polder::metrics
