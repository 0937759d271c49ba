#include "homeserver/base/metrics/metrics.h"

#include <gtest/gtest.h>

#include "homeserver/base/metrics/process.h"

namespace polder::metrics {
namespace {

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, ProbesOfOneNameAreOneFamily) {
  Counter first, second;
  first.add();
  second.add(2);
  Registry registry;
  registry.add([&](Sink& sink) {
    sink.counter("polder_things_total", "Things.", {{"kind", "a"}},
                 static_cast<double>(first.value()));
  });
  registry.add([&](Sink& sink) {
    sink.counter("polder_things_total", "Things.", {{"kind", "b"}},
                 static_cast<double>(second.value()));
    sink.gauge("polder_open", "What is open.", {}, 7);
  });
  const std::string text = registry.text();
  EXPECT_TRUE(has_line(text, "# TYPE polder_things_total counter")) << text;
  EXPECT_TRUE(has_line(text, "polder_things_total{kind=\"a\"} 1")) << text;
  EXPECT_TRUE(has_line(text, "polder_things_total{kind=\"b\"} 2")) << text;
  EXPECT_TRUE(has_line(text, "polder_open 7")) << text;
  EXPECT_EQ(text.find("# HELP polder_things_total"), text.rfind("# HELP polder_things_total"));
}

// What a label says may come from a request.
TEST(Metrics, LabelsAreEscaped) {
  Registry registry;
  registry.add([](Sink& sink) { sink.gauge("g", "G.", {{"what", "a\"b\\c\nd"}}, 1); });
  EXPECT_TRUE(has_line(registry.text(), R"(g{what="a\"b\\c\nd"} 1)")) << registry.text();
}

TEST(Metrics, AHistogramCountsUpToEachBound) {
  Histogram times;
  for (const double seconds : {0.0001, 0.0005, 0.003, 100.0})
    times.observe(seconds);
  Registry registry;
  registry.add([&](Sink& sink) { sink.histogram("t_seconds", "T.", {}, times); });
  const std::string text = registry.text();
  EXPECT_TRUE(has_line(text, "t_seconds_bucket{le=\"0.0005\"} 2")) << text;
  EXPECT_TRUE(has_line(text, "t_seconds_bucket{le=\"0.0025\"} 2")) << text;
  EXPECT_TRUE(has_line(text, "t_seconds_bucket{le=\"0.005\"} 3")) << text;
  EXPECT_TRUE(has_line(text, "t_seconds_bucket{le=\"30\"} 3")) << text;
  EXPECT_TRUE(has_line(text, "t_seconds_bucket{le=\"+Inf\"} 4")) << text;
  EXPECT_TRUE(has_line(text, "t_seconds_count 4")) << text;
}

TEST(Metrics, TheProcessIsLookedUp) {
  Registry registry;
  registry.add(probe_process);
  const std::string text = registry.text();
  for (const char* name : {"process_cpu_seconds_total ", "process_resident_memory_bytes ",
                           "process_open_fds ", "process_max_fds ", "process_threads "})
    EXPECT_NE(text.find(std::string("\n") + name), std::string::npos) << name;
}

}  // namespace
}  // namespace polder::metrics
