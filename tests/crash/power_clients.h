// Users of a homeserver that loses its power, and what they were promised: a promise is an answer
// of 200. What was asked and not answered may have happened or not.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "homeserver/base/values/environment.h"
#include "homeserver/server/testing/client.h"
#include "storage/files/forgetting.h"

namespace polder::crash {

// Something that has one value at a time, set by one user.
struct Known {
  std::string acknowledged;            // the last
  std::optional<std::string> pending;  // a later one, not answered
};

// What users know together; it outlives all lives of the homeserver.
struct Ledger {
  Random& random;
  const files::ForgettingDisk& disk;
  std::vector<std::string> findings = {};

  std::vector<std::string> public_rooms = {};  // rooms that clients come to and leave as they like
  std::map<std::string, std::vector<std::string>> events = {};  // by room: ids
  struct Message {
    std::string to;
    bool acknowledged = false;
  };
  std::map<std::string, Message> messages = {};  // to devices, by id
  std::set<std::string> claimed_keys = {};
  std::map<std::string, std::string> media = {};  // contents by path
  uint64_t numbers = 0;

  std::string next(std::string_view what) { return std::string(what) + std::to_string(++numbers); }
  void finding(std::string text);
};

class Client {
 public:
  Client(Ledger& ledger, std::string name) : ledger_(ledger), name_(std::move(name)) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // The homeserver as it is now, and others whom messages and claims of keys go to. Both live as
  // long as the tasks that are made after this.
  void meet(const http::Router& router, const std::vector<std::unique_ptr<Client>>& clients);

  Task<void> sign_up();
  // The id of a public room, in which everybody may set state; empty if it was refused.
  Task<std::string> create_room(std::string version);
  // Until so many things are done or the power is gone.
  Task<void> act(size_t times);
  Task<void> enter(std::string room, std::string via);
  Task<void> leave(std::string room);
  Task<void> say(std::string room);
  Task<void> say_often(std::string room, size_t times);

  // After a power cut: asks again for what was not answered, as clients do; then looks whether all
  // that was promised holds, `all` or a part of what is old.
  Task<void> resume();
  Task<void> check(bool all);

  // Also if it was asked for only.
  bool may_be_in(const std::string& room) const;
  bool is_in(const std::string& room) const;
  // The room is gone here, and with it what was said and read there. If it is another server's,
  // its state is not.
  void forget(const std::string& room);

 private:
  struct Act;
  struct SentEvent {
    std::string room, transaction, body, id;  // no id: not answered yet
  };

  Task<server::Answer> ask(std::string method, std::string target, std::string body = "");
  // The answer's body; nothing if it is not 200. A refusal is a finding.
  Task<std::optional<json::Object>> must(std::string method, std::string target,
                                         std::string body = "");
  std::string some_room();
  Client& somebody();
  void settle(Known& known, std::string found, const std::string& what);

  Task<void> say_somewhere();
  Task<void> set_value(std::string target);
  Task<void> set_state();
  Task<void> set_account_data();
  Task<void> join_or_leave();
  Task<void> move(std::string room, std::string membership, std::string target);
  Task<void> read();
  Task<void> send_to_device();
  Task<void> upload_key();
  Task<void> claim_key();
  Task<void> upload_media();
  Task<void> sync();

  Task<std::string> deliver(SentEvent event);
  Task<void> deliver(std::string message);
  void take_messages(const json::Object& answer);
  Task<void> check_rooms();
  Task<void> check_values();
  Task<void> check_events(bool all);
  Task<void> check_messages();
  Task<void> check_receipts();
  Task<void> check_keys();
  Task<void> check_media(bool all);

  Ledger& ledger_;
  const std::string name_;
  const http::Router* router_ = nullptr;
  const std::vector<std::unique_ptr<Client>>* clients_ = nullptr;
  bool gone_ = false;  // the server
  std::string id_, token_, device_;

  std::map<std::string, Known> memberships_;  // by room
  std::map<std::string, Known> values_;       // state and account data, by the path
  std::map<std::string, Known> receipts_;     // by room: event ids
  std::optional<SentEvent> sent_;             // the last
  std::string message_;                       // to a device, not answered yet
  std::map<std::string, int> received_;       // messages to the device: how often
  std::string since_;
  int keys_least_ = 0;  // one-time keys that the server has
  int keys_most_ = 0;
  std::set<std::string> checked_;  // events and media that were looked at once
};

}  // namespace polder::crash
