// The network between simulated homeservers, at the level of whole requests: it delays, loses,
// repeats and so reorders them as the seed decides, and can be cut between two servers.
//
// It lies outside every homeserver: it hands a request to the other one's router as a task of that
// one's runtime, and wakes the asking task in its own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "homeserver/base/egress/resolver.h"
#include "homeserver/base/http/client.h"
#include "homeserver/base/http/router.h"
#include "homeserver/base/runtime/simulated.h"

namespace polder::simulation {

// How good the network is. Chances are of 1000.
struct Conditions {
  Millis delay_min{1};  // one way
  Millis delay_max{20};
  uint32_t request_lost = 0;  // the asker waits until its patience ends
  uint32_t answer_lost = 0;   // the same, but it was done
  uint32_t repeated = 0;      // arrives twice; the first answer counts
};

class Network {
 public:
  explicit Network(runtime::Simulation& simulation);
  ~Network();

  // The way out of a server, and the names that it finds there. They live as long as the network.
  http::Transport& transport(const std::string& server);
  egress::Resolver& resolver();

  // The server answers from now on (port 8448, TLS for its name), until detach(); runtime and
  // router live until then.
  void attach(const std::string& server, runtime::Runtime& runtime, const http::Router& router);
  // The server ends: nobody learns what became of its requests, and those that it was answering
  // fail.
  void detach(const std::string& server);

  // What the server's answers become before the asking one gets them.
  using Distortion = std::function<void(const std::string& asker, const http::ClientRequest&,
                                        http::ClientResponse&)>;
  void distort(const std::string& server, Distortion distortion) {
    distortions_[server] = std::move(distortion);
  }

  void set_conditions(Conditions conditions) { conditions_ = conditions; }
  // Between the two nothing gets through, in both directions, not even what is under way.
  void cut(const std::string& one, const std::string& other);
  void mend(const std::string& one, const std::string& other);
  void mend_all() { cuts_.clear(); }

  size_t under_way() const { return flights_.size(); }

 private:
  class Way;
  class Names;
  struct Host;
  struct Flight;
  using FlightPtr = std::shared_ptr<Flight>;

  void launch(const FlightPtr& flight);
  void arrive(const FlightPtr& flight);
  Task<void> serve(FlightPtr flight, const http::Router& router);
  void answer(const FlightPtr& flight, http::ClientResponse response);
  void finish(const FlightPtr& flight, Result<http::ClientResponse> outcome);
  void finish_later(const FlightPtr& flight, Result<http::ClientResponse> outcome);

  bool chance(uint32_t of_1000) { return simulation_.random().below(1000) < of_1000; }
  Millis delay();
  bool is_cut(const std::string& one, const std::string& other) const;

  runtime::Simulation& simulation_;
  Conditions conditions_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::set<std::pair<std::string, std::string>> cuts_;  // names in order
  std::map<std::string, Host> hosts_;                   // those that answer
  std::map<std::string, std::unique_ptr<Way>> ways_;
  std::map<std::string, Distortion> distortions_;
  std::unique_ptr<Names> names_;
  std::map<uint64_t, FlightPtr> flights_;  // not yet finished
  uint64_t launched_ = 0;
};

}  // namespace polder::simulation
