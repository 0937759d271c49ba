// What RocksDB knows of itself, for metrics. Private to this module.
#pragma once

#include <rocksdb/db.h>

#include <span>
#include <vector>

#include "storage/kv/kv.h"

namespace polder::kv {

std::vector<StoreFigure> rocks_figures(rocksdb::DB& database,
                                       std::span<rocksdb::ColumnFamilyHandle* const> columns);

}  // namespace polder::kv
