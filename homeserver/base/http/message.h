// Requests and responses, free of any library. Values, but for the streams of bodies.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "homeserver/base/runtime/task.h"
#include "homeserver/base/values/result.h"

namespace polder::http {

enum class Method : uint8_t { kGet, kHead, kPost, kPut, kDelete, kOptions, kPatch, kOther };
Method method_from(std::string_view name);
std::string_view to_string(Method method);

// Field names without regard to case, in order of arrival.
class Headers {
 public:
  void add(std::string name, std::string value) {
    fields_.emplace_back(std::move(name), std::move(value));
  }
  void set(std::string_view name, std::string value);  // replaces all of that name
  std::string_view find(std::string_view name) const;  // the first; empty if absent
  size_t count(std::string_view name) const;
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  size_t size() const { return fields_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// A body that arrives or is sent in pieces, with back-pressure: a piece is made when it is asked
// for.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // The next piece, never empty; nothing at the end.
  virtual Task<Result<std::optional<std::string>>> next() = 0;
};

// Where a body goes that is received in pieces, instead of being held whole; with back-pressure:
// nothing more is read before a piece was taken. One body at a time.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // A body begins. What was taken of one before is void: its connection broke off.
  virtual void begin() = 0;
  // The next piece; an error ends the request with it.
  virtual Task<Status> take(std::string piece) = 0;
};

// All of a body; kTooLarge beyond max bytes.
Task<Result<std::string>> read_all(BodySource& body, size_t max);

struct Request {
  Method method = Method::kGet;
  std::string target;  // as sent: path and query
  std::string path;    // as sent, without the query: percent-encoded
  std::vector<std::pair<std::string, std::string>> query;  // decoded
  Headers headers;
  std::string remote_address;
  std::vector<std::pair<std::string_view, std::string>>
      path_parameters;  // decoded; set by the router

  // Read before the handler runs, unless its route streams.
  std::string body;
  BodySource* body_stream = nullptr;  // lives as long as the request; nullptr once it was read

  // In bytes, as its header says; nothing if there is none.
  std::optional<uint64_t> body_length() const;

  std::optional<std::string_view> query_parameter(std::string_view name) const;  // the first
  std::vector<std::string> query_parameters(std::string_view name) const;
  std::string_view path_parameter(
      std::string_view name) const;  // empty if the route has none of that name
};

// Splits a request target into path and decoded query parameters. kMalformed if it cannot be
// decoded.
Status parse_target(std::string_view target, Request& request);

// Bytes that are sent uncopied, and what keeps them alive.
struct Slice {
  std::shared_ptr<const void> owner;
  std::string_view bytes;
};
Slice slice(std::string text);
Slice slice(std::shared_ptr<const std::string> text);

struct Response {
  int status = 200;
  Headers headers;
  std::vector<Slice> body;
  std::unique_ptr<BodySource> stream;     // sent after the slices
  std::optional<uint64_t> stream_length;  // if known; else the response is chunked
  bool close = false;                     // the connection ends after it

  static Response json(int status, std::string text);
  static Response json(int status, std::vector<Slice> body);
  uint64_t slices_length() const;
};

}  // namespace polder::http
