#include "media/remote/remote.h"

#include "homeserver/base/egress/url.h"

namespace polder::remote_media {
namespace {

constexpr size_t kBookShard = 0;
constexpr size_t kFailuresMax = 10'000;
constexpr size_t kAllowancesMax = 10'000;
constexpr int kRedirectsMax = 3;

// What was fetched, in pieces that the store takes.
class TextBody final : public http::BodySource {
 public:
  explicit TextBody(std::string text) : text_(std::move(text)) {}
  Task<Result<std::optional<std::string>>> next() override {
    if (place_ == text_.size()) co_return std::optional<std::string>();
    std::string piece = text_.substr(place_, media::kChunkBytes);
    place_ += piece.size();
    co_return std::optional(std::move(piece));
  }

 private:
  const std::string text_;
  size_t place_ = 0;
};

// To who asks here, what another server says is either that there is no such file, that it is too
// large or not there yet, or of no use.
Error plain_error(Error error) {
  switch (error.code) {
    case ErrorCode::kNotFound:
    case ErrorCode::kTooLarge:
    case ErrorCode::kTimeout:
    case ErrorCode::kReadOnly:
    case ErrorCode::kIo:
    case ErrorCode::kCorrupt:
    case ErrorCode::kInternal:
      return error;
    default:
      return fail(ErrorCode::kUnavailable, "The file could not be fetched");
  }
}

bool is_answer(ErrorCode code) {
  return code == ErrorCode::kNotFound || code == ErrorCode::kTooLarge ||
         code == ErrorCode::kUnavailable;
}

void release(std::map<stores::UserNumber, size_t>& running, stores::UserNumber user) {
  if (--running[user] == 0) running.erase(user);
}
void release(std::map<std::string, size_t>& running, std::string_view server) {
  const std::string name(server);
  if (--running[name] == 0) running.erase(name);
}

template <class Key>
size_t count_of(const std::map<Key, size_t>& running, const Key& key) {
  const auto found = running.find(key);
  return found == running.end() ? 0 : found->second;
}

}  // namespace

Task<Result<stores::MediaRow>> RemoteMedia::find(MxcUri uri, stores::UserNumber user, Millis wait) {
  wait = std::min(wait, media::kWaitMax);
  auto kept = co_await parts_.library.find(uri, Millis(0));
  if (kept.ok() || kept.error().code != ErrorCode::kNotFound) co_return kept;
  POLDER_CO_TRY(const bool mine,
                co_await runtime::on_shard(parts_.runtime, kBookShard, [this, uri, user, wait] {
                  return begin(uri, user, wait);
                }));
  if (!mine) co_return co_await parts_.library.find(uri, Millis(0));
  auto fetched = co_await fetch(uri, wait);
  const uint64_t bytes = fetched.ok() ? fetched->size : 0;
  Status outcome;
  if (!fetched.ok()) outcome = plain_error(std::move(fetched).error());
  POLDER_CO_CHECK(co_await runtime::on_shard(
      parts_.runtime, kBookShard,
      [this, uri, user, outcome, bytes] { return end(uri, user, outcome, bytes); }));
  co_return fetched;
}

// https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediadownloadmediaid
Task<Result<stores::MediaRow>> RemoteMedia::fetch(MxcUri uri, Millis wait) {
  const ServerName server = ServerName::trusted(std::string(uri.server()));
  const uint64_t bytes_max = parts_.library.parts().limits.fetch_bytes_max;
  POLDER_CO_TRY(auto found, co_await parts_.federation.media(server, std::string(uri.media_id()),
                                                             wait, bytes_max));
  if (!found.location.empty()) {
    POLDER_CO_TRY(found, co_await follow(std::move(found.location)));
  }
  media::Description what = media::describe_remote(found.content_type, found.disposition);
  TextBody body(std::move(found.bytes));
  co_return co_await parts_.library.keep(std::move(uri), std::move(what), body);
}

// Another server names the URL: the gate decides where it may lead.
Task<Result<client::RemoteMedia>> RemoteMedia::follow(std::string location) {
  POLDER_CO_TRY(const auto url, egress::parse_url(location));
  if (!url.tls) co_return fail(ErrorCode::kForbidden, "redirected to a URL without TLS");
  egress::EgressRequest request;
  request.demand.cause = egress::Cause::kMedia;
  request.host = url.host;
  request.port = url.port;
  request.host_header = url.authority();
  request.target = url.target;
  request.timeout = kFetchTimeMax;
  request.body_max = parts_.library.parts().limits.fetch_bytes_max;
  request.redirects_max = kRedirectsMax;
  auto sent = co_await parts_.egress.send(std::move(request));
  if (!sent.ok() && sent.error().code == ErrorCode::kTooLarge) co_return sent.error();
  // Whatever else the reason: what there is at an address is not told.
  if (!sent.ok()) co_return fail(ErrorCode::kUnavailable, sent.error().message);
  http::ClientResponse response = *std::move(sent);
  if (response.status != 200)
    co_return fail(response.status == 404 ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
                   "status " + std::to_string(response.status));
  client::RemoteMedia found;
  found.content_type = response.headers.find("Content-Type");
  found.disposition = response.headers.find("Content-Disposition");
  found.bytes = std::move(response.body);
  found.counted = std::move(response.held);
  co_return found;
}

// Whether the caller is to fetch, and to call end() then; if not, somebody else just has.
Task<Result<bool>> RemoteMedia::begin(MxcUri uri, stores::UserNumber user, Millis wait) {
  const auto deadline = now() + wait + kFetchTimeMax;
  const auto failure = failures_.find(uri);
  if (failure != failures_.end() && failure->second.until > now()) co_return failure->second.error;
  if (const auto found = fetches_.find(uri); found != fetches_.end()) {
    const auto under_way = found->second;
    co_await under_way->done.wait_for(std::chrono::ceil<Millis>(deadline - now()));
    if (!under_way->ended) co_return fail(ErrorCode::kTimeout, "The file was not fetched in time");
    POLDER_CO_CHECK(under_way->outcome);
    co_return false;
  }
  if (allowance_of(user).bytes <= 0)
    co_return fail(ErrorCode::kRateLimited, "You have fetched too much from other servers");
  if (fetches_.size() >= kFetchesWaitingMax)
    co_return fail(ErrorCode::kRateLimited, "Too much is being fetched from other servers");
  fetches_.emplace(uri, std::make_shared<Fetch>(parts_.runtime));
  co_return co_await wait_for_slot(std::move(uri), user, deadline);
}

Task<Result<bool>> RemoteMedia::wait_for_slot(MxcUri uri, stores::UserNumber user,
                                              std::chrono::nanoseconds deadline) {
  while (!slot_is_free(uri, user)) {
    const auto left = std::chrono::floor<Millis>(deadline - now());
    if (left <= Millis(0) || !co_await slot_free_.wait_for(left)) {
      const Error late = fail(ErrorCode::kTimeout, "The file was not fetched in time");
      finish(uri, late);
      co_return late;
    }
  }
  ++running_;
  ++running_of_server_[std::string(uri.server())];
  ++running_of_user_[user];
  co_return true;
}

Task<Status> RemoteMedia::end(MxcUri uri, stores::UserNumber user, Status outcome, uint64_t bytes) {
  --running_;
  release(running_of_server_, uri.server());
  release(running_of_user_, user);
  allowance_of(user).bytes -= static_cast<int64_t>(bytes);
  if (!outcome.ok() && is_answer(outcome.error().code)) remember_failure(uri, outcome.error());
  finish(uri, outcome);
  slot_free_.notify_all();
  co_return outcome;
}

void RemoteMedia::finish(const MxcUri& uri, Status outcome) {
  const auto found = fetches_.find(uri);
  found->second->ended = true;
  found->second->outcome = std::move(outcome);
  found->second->done.notify_all();
  fetches_.erase(found);
}

bool RemoteMedia::slot_is_free(const MxcUri& uri, stores::UserNumber user) const {
  return running_ < kFetchesMax &&
         count_of(running_of_server_, std::string(uri.server())) < kFetchesOfServerMax &&
         count_of(running_of_user_, user) < kFetchesOfUserMax;
}

RemoteMedia::Allowance& RemoteMedia::allowance_of(stores::UserNumber user) {
  const UserAllowance& limits = parts_.allowance;
  const auto refilled = [&](const Allowance& allowance) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now() - allowance.at).count();
    const int64_t enough = limits.bytes_max / limits.bytes_per_second * 2;
    return std::min(limits.bytes_max,
                    allowance.bytes + std::min(seconds, enough) * limits.bytes_per_second);
  };
  if (allowances_.size() >= kAllowancesMax) {
    std::erase_if(allowances_,
                  [&](const auto& entry) { return refilled(entry.second) == limits.bytes_max; });
  }
  const auto [place, is_new] = allowances_.try_emplace(user, Allowance{limits.bytes_max, now()});
  Allowance& allowance = place->second;
  if (!is_new && now() - allowance.at >= std::chrono::seconds(1))
    allowance = {refilled(allowance), now()};
  return allowance;
}

void RemoteMedia::remember_failure(const MxcUri& uri, const Error& error) {
  if (failures_.size() >= kFailuresMax) {
    std::erase_if(failures_, [this](const auto& entry) { return entry.second.until <= now(); });
    if (failures_.size() >= kFailuresMax) failures_.clear();
  }
  failures_.insert_or_assign(uri, Failure{now() + kFailureLife, error});
}

}  // namespace polder::remote_media
