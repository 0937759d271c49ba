#include "homeserver/api/kit/key_pieces.h"

#include <array>

#include "homeserver/base/json/write.h"

namespace polder::kit {
namespace {

constexpr size_t kUsersAtOnce = 8;
constexpr size_t kPieceBytes = 128 * 1024;
constexpr std::string_view kSigningLists[] = {"master_keys", "self_signing_keys",
                                              "user_signing_keys"};

// The members of an object, one after the other.
class Members {
 public:
  void add(const std::string& name, const json::Value& value) {
    if (std::exchange(any_, true)) text_.push_back(',');
    json::Writer(text_).string(name);
    text_.append(":").append(json::write(value));
  }
  // All but those that are in the other.
  void add_all(const json::Object* members, const json::Object* but) {
    if (members == nullptr) return;
    for (const auto& [name, value] : *members) {
      if (but == nullptr || !but->contains(name)) add(name, value);
    }
  }
  bool any() const { return any_; }
  std::string take() { return std::exchange(text_, {}); }

 private:
  std::string text_;
  bool any_ = false;
};

class Source {
 public:
  explicit Source(KeyPieces pieces) : pieces_(std::move(pieces)) { take(pieces_.at_hand, {}); }

  bool done() const { return done_; }

  Task<Result<std::string>> next() {
    std::string text = begun_ ? "" : R"({"device_keys":{)";
    begun_ = true;
    while (next_ < pieces_.wanted.size() && text.size() < kPieceBytes) {
      const size_t end = std::min(next_ + kUsersAtOnce, pieces_.wanted.size());
      POLDER_CO_TRY(const json::Object some,
                    co_await pieces_.read({pieces_.wanted.begin() + static_cast<ptrdiff_t>(next_),
                                           pieces_.wanted.begin() + static_cast<ptrdiff_t>(end)}));
      next_ = end;
      take(some, pieces_.at_hand);  // what became known meanwhile is not told twice
      text.append(devices_.take());
    }
    if (next_ == pieces_.wanted.size()) text.append(rest());
    co_return text;
  }

 private:
  void take(const json::Object& lists, const json::Object& but) {
    devices_.add_all(lists.find_object("device_keys"), but.find_object("device_keys"));
    for (size_t i = 0; i < signing_.size(); ++i)
      signing_[i].add_all(lists.find_object(kSigningLists[i]), but.find_object(kSigningLists[i]));
  }

  std::string rest() {
    done_ = true;
    std::string text = devices_.take().append("}");
    for (size_t i = 0; i < signing_.size(); ++i) {
      if (!signing_[i].any() && !pieces_.all_lists) continue;
      text.append(",\"").append(kSigningLists[i]).append("\":{");
      text.append(signing_[i].take()).append("}");
    }
    if (pieces_.failures) text.append(R"(,"failures":)").append(json::write(*pieces_.failures));
    return text.append("}");
  }

  KeyPieces pieces_;
  Members devices_;
  std::array<Members, std::size(kSigningLists)> signing_;
  size_t next_ = 0;
  bool begun_ = false, done_ = false;
};

Task<Result<std::optional<std::string>>> rest_of(std::shared_ptr<Source> source) {
  while (!source->done()) {
    POLDER_CO_TRY(std::string piece, co_await source->next());
    if (!piece.empty()) co_return std::optional(std::move(piece));
  }
  co_return std::optional<std::string>();
}

}  // namespace

Task<Result<http::Response>> keys_in_pieces(runtime::Runtime& runtime, const char* route,
                                            KeyPieces pieces) {
  const auto source = std::make_shared<Source>(std::move(pieces));
  POLDER_CO_TRY(std::string first, co_await source->next());
  http::Response response = http::Response::json(200, std::move(first));
  if (!source->done())
    response.stream = streamed(runtime.log(), route, [source] { return rest_of(source); });
  co_return response;
}

}  // namespace polder::kit
