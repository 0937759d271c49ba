#include "federation/devices/outgoing_messages.h"

#include "homeserver/base/json/parse.h"
#include "homeserver/base/json/write.h"
#include "storage/stores/federation/remote_device_rows.h"

namespace polder::devices {
namespace {

constexpr size_t kEduBytesMax = 65536;
constexpr size_t kTypeBytesMax = 255;
constexpr size_t kMessageIdLetters = 24;  // the specification allows 32

// The messages for one server, as contents of EDUs of a bounded size, in order.
class Packer {
 public:
  Packer(const UserId& sender, const std::string& type) : sender_(sender), type_(type) {}

  Status add(const std::string& user, const std::string& device, const json::Object& content) {
    const size_t size = json::write(json::Object{{user, json::object({{device, content}})}}).size();
    if (size + overhead() > kEduBytesMax)
      return fail(ErrorCode::kTooLarge, "a message is too large");
    if (size_ + size + overhead() > kEduBytesMax) close();
    size_ += size;
    if (open_.find_object(user) == nullptr) open_.set(user, json::Object());
    open_.find(user)->as_object()->set(device, content);
    return {};
  }

  std::vector<std::string> take(Random& random) {
    close();
    std::vector<std::string> contents;
    for (json::Object& messages : closed_) {
      contents.push_back(json::write(json::Object{{"sender", sender_.str()},
                                                  {"type", type_},
                                                  {"message_id", random.letters(kMessageIdLetters)},
                                                  {"messages", std::move(messages)}}));
    }
    return contents;
  }

 private:
  size_t overhead() const { return 256 + sender_.str().size() + 6 * type_.size(); }
  void close() {
    if (!open_.empty()) closed_.push_back(std::exchange(open_, {}));
    size_ = 0;
  }

  const UserId& sender_;
  const std::string& type_;
  json::Object open_;
  size_t size_ = 0;
  std::vector<json::Object> closed_;
};

}  // namespace

Status OutgoingMessages::start() {
  POLDER_TRY(auto counts, stores::count_outgoing_messages(*parts_.database.snapshot()));
  const base::Lock lock(mutex_);
  queued_ = std::move(counts);
  return {};
}

Result<OutgoingMessages::Prepared> OutgoingMessages::prepare(const UserId& sender,
                                                             const std::string& type,
                                                             const json::Object& messages) {
  if (type.size() > kTypeBytesMax) return fail(ErrorCode::kInvalid, "the type is too long");
  Prepared prepared;
  std::map<ServerName, Packer> packers;
  size_t count = 0;
  for (const auto& [name, by_device] : messages) {
    POLDER_TRY(const UserId user, UserId::parse(name));
    if (by_device.as_object() == nullptr)
      return fail(ErrorCode::kInvalid, "messages must be by user and device");
    if (user.server() == parts_.own_name.view()) {
      prepared.local.set(name, by_device);
      continue;
    }
    const ServerName server = ServerName::trusted(std::string(user.server()));
    Packer& packer = packers.try_emplace(server, sender, type).first->second;
    for (const auto& [device, content] : *by_device.as_object()) {
      if (content.as_object() == nullptr)
        return fail(ErrorCode::kInvalid, "a message's content must be an object");
      // Another server could not read the canonical JSON that its signature is made of.
      if (!json::is_canonical(content))
        return fail(ErrorCode::kInvalid, "numbers must be integers");
      if (++count > users::kToDeviceMessagesMax)
        return fail(ErrorCode::kTooLarge, "too many messages at once");
      POLDER_CHECK(packer.add(name, device, *content.as_object()));
    }
  }
  for (auto& [server, packer] : packers) {
    const auto contents = packer.take(parts_.runtime.random());
    if (contents.empty()) continue;
    POLDER_CHECK(make_way(server, contents.size(), prepared.batch));
    for (const std::string& content : contents) {
      stores::put_outgoing_message(prepared.batch, server, prepared.batch.reserve_position(),
                                   content);
    }
    prepared.waiting[server] = contents.size();
  }
  return prepared;
}

// A server that is gone for good must not fill the disk.
Status OutgoingMessages::make_way(const ServerName& server, size_t count, kv::Batch& batch) {
  {
    const base::Lock lock(mutex_);
    const size_t queued = queued_[server];
    if (queued + count <= kQueuedMessagesMax) return {};
    queued_[server] = queued - std::min(queued, count);
  }
  POLDER_TRY(const auto oldest,
             stores::read_outgoing_messages(*parts_.database.snapshot(), server, 0, count));
  if (!oldest.empty()) stores::erase_outgoing_messages(batch, server, oldest.back().first);
  parts_.runtime.log().warning("messages to devices of a silent server make way",
                               {{"server", server}, {"messages", oldest.size()}});
  return {};
}

void OutgoingMessages::committed(const std::map<ServerName, size_t>& waiting) {
  std::vector<ServerName> servers;
  {
    const base::Lock lock(mutex_);
    for (const auto& [server, count] : waiting) {
      queued_[server] += count;
      servers.push_back(server);
    }
  }
  if (!servers.empty()) parts_.sender.wake(std::move(servers));
}

Task<Result<sender::PendingEdus>> OutgoingMessages::next(ServerName destination, size_t limit) {
  const kv::Position after = delivered_.contains(destination) ? delivered_[destination] : 0;
  const kv::Database* database = &parts_.database;
  POLDER_CO_TRY(const auto rows, co_await runtime::on_pool(parts_.runtime, [=] {
                  return stores::read_outgoing_messages(*database->snapshot(), destination, after,
                                                        limit);
                }));
  sender::PendingEdus pending;
  for (const auto& [position, text] : rows) {
    POLDER_CO_TRY(json::Object content, json::parse_object(text));
    pending.edus.push_back({"m.direct_to_device", std::move(content)});
    pending.token = position;
  }
  if (!rows.empty()) under_way_[destination] = rows.size();
  co_return pending;
}

// After a crash some may go out again: receivers know them by message_id.
Task<void> OutgoingMessages::delivered(ServerName destination, uint64_t token) {
  delivered_[destination] = token;
  const size_t count = under_way_[destination];
  under_way_.erase(destination);
  {
    const base::Lock lock(mutex_);
    size_t& queued = queued_[destination];
    queued -= std::min(queued, count);
    if (queued == 0) queued_.erase(destination);
  }
  kv::Batch batch;
  stores::erase_outgoing_messages(batch, destination, token);
  parts_.committer.enqueue(std::move(batch), kv::Durability::kLazy,
                           [this, destination, token](const Result<kv::Committed>& done) {
                             const auto known = delivered_.find(destination);
                             if (done.ok() && known != delivered_.end() && known->second == token)
                               delivered_.erase(known);
                           });
  co_return;
}

Task<std::vector<ServerName>> OutgoingMessages::waiting() {
  const base::Lock lock(mutex_);
  std::vector<ServerName> servers;
  for (const auto& [server, count] : queued_)
    servers.push_back(server);
  co_return servers;
}

}  // namespace polder::devices
