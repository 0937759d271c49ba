#include "homeserver/base/metrics/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <map>
#include <sstream>

namespace polder::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// Metrics of one name stand together, whichever probes told them.
class Families final : public Sink {
 public:
  void counter(std::string_view name, std::string_view help, Labels labels, double value) override {
    add(name, help, MetricType::Counter, std::move(labels)).counter.value = value;
  }
  void gauge(std::string_view name, std::string_view help, Labels labels, double value) override {
    add(name, help, MetricType::Gauge, std::move(labels)).gauge.value = value;
  }
  void histogram(std::string_view name, std::string_view help, Labels labels,
                 const Histogram& values) override {
    auto& told = add(name, help, MetricType::Histogram, std::move(labels)).histogram;
    for (size_t i = 0; i <= Histogram::kBounds.size(); ++i) {
      told.sample_count += values.in_bucket(i);
      const double bound = i < Histogram::kBounds.size() ? Histogram::kBounds[i]
                                                         : std::numeric_limits<double>::infinity();
      told.bucket.push_back({told.sample_count, bound});
    }
    told.sample_sum = values.sum();
  }

  std::vector<MetricFamily> take() {
    std::vector<MetricFamily> all;
    for (auto& [name, family] : families_)
      all.push_back(std::move(family));
    return all;
  }

 private:
  ClientMetric& add(std::string_view name, std::string_view help, MetricType type, Labels labels) {
    MetricFamily& family = families_[std::string(name)];
    family.name = name;
    family.help = help;
    family.type = type;
    ClientMetric& metric = family.metric.emplace_back();
    for (auto& [label, value] : labels)
      metric.label.push_back({std::move(label), std::move(value)});
    return metric;
  }

  std::map<std::string, MetricFamily> families_;
};

}  // namespace

void Histogram::observe(double seconds) {
  size_t bucket = 0;
  while (bucket < kBounds.size() && seconds > kBounds[bucket])
    ++bucket;
  counts_[bucket].fetch_add(1, std::memory_order_relaxed);
  sum_us_.fetch_add(static_cast<uint64_t>(seconds * 1e6), std::memory_order_relaxed);
}

void Registry::add(Probe probe) {
  probes_.push_back(std::move(probe));
}

std::string Registry::text() const {
  Families families;
  for (const Probe& probe : probes_)
    probe(families);
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families.take());
  return std::move(out).str();
}

}  // namespace polder::metrics
