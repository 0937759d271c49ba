#include "storage/files/encrypted.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace polder::files {
namespace {

// A file begins with its prefix: magic, key id, nonce. docs/formats/encryption.md.
constexpr std::string_view kMagic = "PolderE1";
constexpr size_t kKeyIdBytes = 8;
constexpr size_t kBlockBytes = 16;  // of AES, and so of the nonce: the first block's counter
constexpr size_t kPrefixBytes = kMagic.size() + kKeyIdBytes + kBlockBytes;
constexpr size_t kPieceBytes = size_t{1} << 30;  // OpenSSL counts in int

using KeyId = std::array<uint8_t, kKeyIdBytes>;
using Block = std::array<uint8_t, kBlockBytes>;

// OpenSSL fails only without memory or with wrong arguments: a bug.
void require(bool done) {
  if (!done) std::abort();
}

// A key's id is a digest, so that a file cannot be read with a wrong key by mistake.
KeyId id_of(const EncryptionKey& key) {
  constexpr std::string_view kLabel = "polder file key id";
  std::vector<uint8_t> input(kLabel.begin(), kLabel.end());
  input.insert(input.end(), key.begin(), key.end());
  std::array<uint8_t, EVP_MAX_MD_SIZE> digest{};
  require(EVP_Digest(input.data(), input.size(), digest.data(), nullptr, EVP_sha256(), nullptr) ==
          1);
  KeyId id{};
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

struct Key {
  KeyId id{};
  EncryptionKey bytes{};
};

// What all files of one file system share. Immutable.
class Cipher {
 public:
  explicit Cipher(std::span<const EncryptionKey> keys)
      : aes_(EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr)) {
    require(aes_ != nullptr && !keys.empty());
    for (const EncryptionKey& key : keys)
      keys_.push_back({id_of(key), key});
  }
  Cipher(const Cipher&) = delete;
  Cipher& operator=(const Cipher&) = delete;
  ~Cipher() { EVP_CIPHER_free(aes_); }

  const Key& newest() const { return keys_.front(); }
  const Key* find(std::string_view id) const {
    const auto found = std::ranges::find_if(
        keys_, [&](const Key& key) { return std::ranges::equal(key.id, as_id(id)); });
    return found == keys_.end() ? nullptr : &*found;
  }
  const EVP_CIPHER* aes() const { return aes_; }

 private:
  static KeyId as_id(std::string_view text) {
    KeyId id{};
    std::copy_n(text.begin(), std::min(text.size(), id.size()), id.begin());
    return id;
  }

  EVP_CIPHER* aes_;
  std::vector<Key> keys_;
};

// The key stream of one file: a value. The cipher outlives it.
class Stream {
 public:
  Stream(const Cipher& cipher, const Key& key, const Block& nonce)
      : cipher_(&cipher), key_(&key), nonce_(nonce) {}

  // Encrypts or decrypts, which is the same, what stands at an offset of the content.
  void apply(uint64_t offset, std::span<char> data) const {
    const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
        EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
    const Block counter = counter_at(offset / kBlockBytes);
    require(context && EVP_EncryptInit_ex2(context.get(), cipher_->aes(), key_->bytes.data(),
                                           counter.data(), nullptr) == 1);
    Block before{};  // the block's part that is not asked for
    update(context.get(), before.data(), offset % kBlockBytes);
    for (; !data.empty(); data = data.subspan(std::min(data.size(), kPieceBytes)))
      update(context.get(), reinterpret_cast<uint8_t*>(data.data()),
             std::min(data.size(), kPieceBytes));
  }

  std::string encrypted(uint64_t offset, std::string_view data) const {
    std::string out(data);
    apply(offset, out);
    return out;
  }

  std::string prefix() const {
    std::string out(kMagic);
    out.append(key_->id.begin(), key_->id.end()).append(nonce_.begin(), nonce_.end());
    return out;
  }

 private:
  static void update(EVP_CIPHER_CTX* context, uint8_t* data, size_t size) {
    int done = 0;
    require(EVP_EncryptUpdate(context, data, &done, data, static_cast<int>(size)) == 1);
  }

  // The nonce as a big-endian number, plus the block's.
  Block counter_at(uint64_t block) const {
    Block counter = nonce_;
    for (size_t i = kBlockBytes; i > 0 && block > 0; --i) {
      block += counter[i - 1];
      counter[i - 1] = static_cast<uint8_t>(block);
      block >>= 8;
    }
    return counter;
  }

  const Cipher* cipher_;
  const Key* key_;
  Block nonce_;
};

// The stream of a file that is there; none for one that a power cut left shorter than its prefix:
// that has no content yet.
Result<std::optional<Stream>> stream_of(const Cipher& cipher, const std::string& path,
                                        const ReadableFile& file) {
  POLDER_TRY(const std::string prefix, file.read(0, kPrefixBytes));
  if (prefix.size() < kPrefixBytes) return std::optional<Stream>();
  if (!prefix.starts_with(kMagic)) return fail(ErrorCode::kCorrupt, path + ": not encrypted");
  const std::string_view rest = std::string_view(prefix).substr(kMagic.size());
  const Key* key = cipher.find(rest.substr(0, kKeyIdBytes));
  if (key == nullptr) {
    return fail(ErrorCode::kUnsupported, path + ": encrypted with a key that is not known");
  }
  Block nonce{};
  std::ranges::copy(rest.substr(kKeyIdBytes), nonce.begin());
  return std::optional(Stream(cipher, *key, nonce));
}

class EncryptedWritable final : public WritableFile {
 public:
  EncryptedWritable(std::unique_ptr<WritableFile> file, const Stream& stream)
      : file_(std::move(file)), stream_(stream) {}
  Status append(std::string_view data) override {
    return file_->append(stream_.encrypted(size(), data));
  }
  Status truncate(uint64_t size) override { return file_->truncate(size + kPrefixBytes); }
  Status sync() override { return file_->sync(); }
  Status close() override { return file_->close(); }
  uint64_t size() const override { return file_->size() - kPrefixBytes; }

 private:
  const std::unique_ptr<WritableFile> file_;
  const Stream stream_;
};

class EncryptedReadable final : public ReadableFile {
 public:
  EncryptedReadable(std::unique_ptr<ReadableFile> file, std::optional<Stream> stream)
      : file_(std::move(file)), stream_(stream) {}
  Result<size_t> read_into(uint64_t offset, std::span<char> out) const override {
    if (!stream_) return size_t{0};
    POLDER_TRY(const size_t filled, file_->read_into(offset + kPrefixBytes, out));
    stream_->apply(offset, out.first(filled));
    return filled;
  }
  Result<uint64_t> size() const override {
    POLDER_TRY(const uint64_t size, file_->size());
    return stream_ ? size - kPrefixBytes : 0;
  }

 private:
  const std::unique_ptr<ReadableFile> file_;
  const std::optional<Stream> stream_;
};

class EncryptedRandom final : public RandomFile {
 public:
  EncryptedRandom(std::unique_ptr<RandomFile> file, const Stream& stream)
      : file_(std::move(file)), stream_(stream) {}
  Status write(uint64_t offset, std::string_view data) override {
    return file_->write(offset + kPrefixBytes, stream_.encrypted(offset, data));
  }
  Result<size_t> read_into(uint64_t offset, std::span<char> out) const override {
    POLDER_TRY(const size_t filled, file_->read_into(offset + kPrefixBytes, out));
    stream_.apply(offset, out.first(filled));
    return filled;
  }
  Status sync() override { return file_->sync(); }
  Status close() override { return file_->close(); }

 private:
  const std::unique_ptr<RandomFile> file_;
  const Stream stream_;
};

class EncryptedFiles final : public FileSystem {
 public:
  EncryptedFiles(FileSystem& under, std::span<const EncryptionKey> keys, base::Random& random)
      : under_(under), cipher_(keys), random_(random) {}

  Result<std::unique_ptr<WritableFile>> open_for_write(const std::string& path,
                                                       OpenMode mode) override {
    std::optional<Stream> stream;
    if (mode == OpenMode::kAppend) {
      POLDER_TRY(stream, find_stream(path));
    }
    const OpenMode below = stream ? OpenMode::kAppend : OpenMode::kTruncate;
    POLDER_TRY(auto file, under_.open_for_write(path, below));
    if (!stream) {
      stream.emplace(new_stream());
      POLDER_CHECK(file->append(stream->prefix()));
    }
    return std::unique_ptr<WritableFile>(
        std::make_unique<EncryptedWritable>(std::move(file), *stream));
  }
  Result<std::unique_ptr<ReadableFile>> open_for_read(const std::string& path) override {
    POLDER_TRY(auto file, under_.open_for_read(path));
    POLDER_TRY(auto stream, stream_of(cipher_, path, *file));
    return std::unique_ptr<ReadableFile>(
        std::make_unique<EncryptedReadable>(std::move(file), stream));
  }
  Result<std::unique_ptr<RandomFile>> open_random(const std::string& path) override {
    POLDER_TRY(auto stream, find_stream(path));
    POLDER_TRY(auto file, under_.open_random(path));
    if (!stream) {
      stream.emplace(new_stream());
      POLDER_CHECK(file->write(0, stream->prefix()));
    }
    return std::unique_ptr<RandomFile>(std::make_unique<EncryptedRandom>(std::move(file), *stream));
  }

  Result<FileInfo> info(const std::string& path) override {
    POLDER_TRY(FileInfo about, under_.info(path));
    if (!about.is_directory) about.size -= std::min<uint64_t>(about.size, kPrefixBytes);
    return about;
  }

  Result<std::vector<DirectoryEntry>> list(const std::string& directory) override {
    return under_.list(directory);
  }
  Status create_directories(const std::string& path) override {
    return under_.create_directories(path);
  }
  Status remove_file(const std::string& path) override { return under_.remove_file(path); }
  Status remove_directory(const std::string& path) override {
    return under_.remove_directory(path);
  }
  Status rename(const std::string& from, const std::string& to) override {
    return under_.rename(from, to);
  }
  Status link(const std::string& from, const std::string& to) override {
    return under_.link(from, to);
  }
  Status sync_directory(const std::string& directory) override {
    return under_.sync_directory(directory);
  }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    return under_.lock(path);
  }
  Result<uint64_t> free_bytes(const std::string& path) override { return under_.free_bytes(path); }

 private:
  Stream new_stream() {
    Block nonce{};
    random_.fill(nonce);
    return {cipher_, cipher_.newest(), nonce};
  }

  // Of a file that may be there.
  Result<std::optional<Stream>> find_stream(const std::string& path) {
    const auto file = under_.open_for_read(path);
    if (file.ok()) return stream_of(cipher_, path, **file);
    if (file.error().code == ErrorCode::kNotFound) return std::optional<Stream>();
    return file.error();
  }

  FileSystem& under_;
  const Cipher cipher_;
  base::Random& random_;
};

}  // namespace

std::unique_ptr<FileSystem> encrypted_files(FileSystem& under, std::span<const EncryptionKey> keys,
                                            base::Random& random) {
  return std::make_unique<EncryptedFiles>(under, keys, random);
}

}  // namespace polder::files
