#include "storage/backup/listing.h"

#include <algorithm>
#include <charconv>

#include "homeserver/base/crypto/hash.h"

namespace polder::backup {
namespace {

constexpr std::string_view kTitle = "polder backup ";
constexpr std::string_view kFormat = "1";

Error damaged() {
  return fail(ErrorCode::kCorrupt, "the list is damaged");
}

// Takes what comes before the next separator.
Result<std::string_view> take(std::string_view& text, char separator) {
  const size_t end = text.find(separator);
  if (end == std::string_view::npos) return damaged();
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(end + 1);
  return taken;
}

// The rest of the next line, which begins with a word.
Result<std::string_view> take_fact(std::string_view& text, std::string_view word) {
  POLDER_TRY(std::string_view line, take(text, '\n'));
  if (!line.starts_with(word) || line.substr(word.size(), 1) != " ") return damaged();
  return line.substr(word.size() + 1);
}

template <class Number>
Result<Number> parse_number(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return damaged();
  return number;
}

// Below the data directory, whatever it says.
bool is_safe(std::string_view name) {
  return !name.empty() && name.front() != '/' && name.back() != '/' &&
         name.find("..") == std::string_view::npos;
}

Result<File> parse_file(std::string_view fact) {
  File file;
  POLDER_TRY(const std::string_view digest, take(fact, ' '));
  POLDER_TRY(const std::string_view size, take(fact, ' '));
  POLDER_TRY(const std::string bytes, base::hex_decode(digest));
  if (bytes.size() != file.digest.size() || !is_safe(fact)) return damaged();
  std::ranges::copy(as_bytes(bytes), file.digest.begin());
  POLDER_TRY(file.size, parse_number<uint64_t>(size));
  file.name = fact;
  return file;
}

}  // namespace

std::string write_listing(const Listing& listing) {
  std::string text(kTitle);
  text.append(kFormat).append("\nserver ").append(listing.server_name);
  text.append("\nmade ").append(std::to_string(listing.made_ms));
  text.append("\ndatabase ").append(listing.database).append("\n");
  for (const File& file : listing.files) {
    text.append("file ").append(base::hex_encode(file.digest)).append(" ");
    text.append(std::to_string(file.size)).append(" ").append(file.name).append("\n");
  }
  return text + "end " + base::hex_encode(crypto::sha256(text)) + "\n";
}

Result<Listing> parse_listing(std::string_view text) {
  const size_t end = text.rfind("\nend ");
  if (!text.starts_with(kTitle) || end == std::string_view::npos) return damaged();
  std::string_view body = text.substr(0, end + 1);
  if (text.substr(end + 1) != "end " + base::hex_encode(crypto::sha256(body)) + "\n")
    return damaged();
  body.remove_prefix(kTitle.size());
  POLDER_TRY(const std::string_view format, take(body, '\n'));
  if (format != kFormat)
    return fail(ErrorCode::kUnsupported, "the list has format " + std::string(format));
  Listing listing;
  POLDER_TRY(listing.server_name, take_fact(body, "server"));
  POLDER_TRY(const std::string_view made, take_fact(body, "made"));
  POLDER_TRY(listing.made_ms, parse_number<int64_t>(made));
  POLDER_TRY(listing.database, take_fact(body, "database"));
  while (!body.empty()) {
    POLDER_TRY(const std::string_view fact, take_fact(body, "file"));
    POLDER_TRY(File file, parse_file(fact));
    listing.files.push_back(std::move(file));
  }
  return listing;
}

}  // namespace polder::backup
