#include "storage/kv/rocks_figures.h"

namespace polder::kv {
namespace {

using Properties = rocksdb::DB::Properties;

struct Property {
  std::string_view name;
  std::string_view help;
  const std::string& property;
  bool summed;  // over the columns; else one for all of them
};

}  // namespace

std::vector<StoreFigure> rocks_figures(rocksdb::DB& database,
                                       std::span<rocksdb::ColumnFamilyHandle* const> columns) {
  const Property properties[] = {
      {"table_bytes", "Bytes of tables on disk.", Properties::kTotalSstFilesSize, true},
      {"unwritten_bytes", "Bytes that are in the write log and in no table yet.",
       Properties::kCurSizeAllMemTables, true},
      {"compaction_bytes", "Bytes that wait to be compacted, as estimated.",
       Properties::kEstimatePendingCompactionBytes, true},
      {"table_reader_bytes", "Memory of indexes and filters outside of the cache.",
       Properties::kEstimateTableReadersMem, true},
      {"cache_bytes", "Memory of cached blocks.", Properties::kBlockCacheUsage, false},
      {"cache_pinned_bytes", "Memory of cached blocks in use.", Properties::kBlockCachePinnedUsage,
       false},
      {"compactions", "Compactions under way.", Properties::kNumRunningCompactions, false},
      {"flushes", "Tables being written.", Properties::kNumRunningFlushes, false},
      {"snapshots", "Snapshots held.", Properties::kNumSnapshots, false},
      {"oldest_snapshot_seconds", "When the oldest snapshot was taken; 0 if there is none.",
       Properties::kOldestSnapshotTime, false},
      {"write_stopped", "1 while writes are held up.", Properties::kIsWriteStopped, false},
      {"background_errors", "Failures in the background.", Properties::kBackgroundErrors, false},
  };
  std::vector<StoreFigure> figures;
  for (const Property& each : properties) {
    double sum = 0;
    for (auto* column : columns) {
      uint64_t value = 0;
      if (database.GetIntProperty(column, each.property, &value)) sum += static_cast<double>(value);
      if (!each.summed) break;
    }
    figures.push_back({each.name, each.help, sum});
  }
  return figures;
}

}  // namespace polder::kv
