#include "homeserver/server/signing_key.h"

namespace polder::server {
namespace {

constexpr uint64_t kKeyFileBytesMax = 4096;

}  // namespace

Result<crypto::SigningKey> load_signing_key(files::FileSystem& files, const std::string& data_dir,
                                            Random& random) {
  const std::string path = data_dir + "/signing.key";
  const auto line = files.read_all(path, kKeyFileBytesMax);
  if (line.ok()) {
    auto key = crypto::SigningKey::from_line(*line);
    if (key.ok()) return key;
    return fail(ErrorCode::kCorrupt, path + ": no signing key: " + key.error().message);
  }
  if (line.error().code != ErrorCode::kNotFound) return line.error();
  crypto::SigningKey key = crypto::SigningKey::generate(random);
  POLDER_CHECK(files.write_atomically(path, key.to_line()));
  return key;
}

}  // namespace polder::server
