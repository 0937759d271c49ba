// Files whose content is encrypted with AES-256-CTR, on any other file system. Whoever steals the
// disk reads names, sizes and times, and nothing else.
//
// What it does not do (docs/formats/encryption.md): nothing authenticates. Whoever can write to the
// disk can flip bits unnoticed; RocksDB's checksums find accidents, not intent. And whoever copies
// the disk before and after an overwrite of the same place in the same file learns the difference
// of the two contents. Files that are only ever appended to and replaced whole, as RocksDB's and
// those of write_atomically() are, give no such pair.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "homeserver/base/values/environment.h"
#include "storage/files/files.h"

namespace polder::files {

using EncryptionKey = std::array<uint8_t, 32>;

// New files get the first key, at least one; files of any of the others can be read and appended
// to: keys are changed by putting a new one first, and the old one may go once no file of it is
// left. Opening a file fails with kCorrupt if it is not an encrypted one, with kUnsupported if its
// key is not among these. Both references outlive the file system; randomness gives each file its
// nonce.
std::unique_ptr<FileSystem> encrypted_files(FileSystem& under, std::span<const EncryptionKey> keys,
                                            base::Random& random);

}  // namespace polder::files
