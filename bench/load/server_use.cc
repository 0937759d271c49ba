#include "bench/load/server_use.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

namespace polder::load {
namespace {

constexpr uint64_t kBlockBytes = 512;  // in which st_blocks counts

struct Process {
  int parent = 0;
  double cpu_seconds = 0;  // its own and that of the children that it waited for
};

// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
std::map<int, Process> all_processes() {
  std::map<int, Process> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename();
    if (!std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; })) continue;
    std::ifstream file(entry.path() / "stat");
    const std::string text(std::istreambuf_iterator<char>(file), {});
    const size_t command_end = text.rfind(')');
    if (command_end == std::string::npos) continue;  // it ended
    std::istringstream fields(text.substr(command_end + 1));
    std::string skipped;
    Process process;
    fields >> skipped >> process.parent;
    for (int i = 5; i < 14; ++i)
      fields >> skipped;
    uint64_t ticks = 0;
    for (int i = 14; i < 18; ++i) {
      uint64_t part = 0;
      fields >> part;
      ticks += part;
    }
    process.cpu_seconds = static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
    found.emplace(std::stoi(name), process);
  }
  return found;
}

std::vector<int> with_descendants(const std::map<int, Process>& all, std::vector<int> processes) {
  for (size_t i = 0; i < processes.size(); ++i) {
    for (const auto& [id, process] : all) {
      if (process.parent == processes[i] && std::ranges::find(processes, id) == processes.end())
        processes.push_back(id);
    }
  }
  return processes;
}

// Nothing if it ended, or is somebody else's.
uint64_t memory_of(int process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/smaps_rollup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("Pss:")) return std::strtoull(line.c_str() + 4, nullptr, 10) * 1024;
  }
  return 0;
}

uint64_t disk_of(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator entry(directory, error), end;
       !error && entry != end; entry.increment(error)) {
    struct stat status{};
    if (lstat(entry->path().c_str(), &status) == 0)
      bytes += static_cast<uint64_t>(status.st_blocks) * kBlockBytes;
  }
  return bytes;
}

}  // namespace

Result<Use> use_of(const Server& server) {
  Use use;
  const auto all = all_processes();
  for (const int process : server.processes) {
    if (!all.contains(process) || memory_of(process) == 0) {
      return fail(ErrorCode::kNotFound,
                  "no process " + std::to_string(process) + " that could be looked at");
    }
  }
  for (const int process : with_descendants(all, server.processes)) {
    use.cpu_seconds += all.at(process).cpu_seconds;
    use.memory_bytes += memory_of(process);
  }
  for (const std::string& directory : server.directories)
    use.disk_bytes += disk_of(directory);
  return use;
}

double own_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace polder::load
