// TLS over a socket. OpenSSL reads from the socket itself, and holds no buffer while nothing comes:
// of thousands of connections most wait, and the buffers of Asio's stream are 68 KiB of each.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "homeserver/base/http/tcp.h"

namespace polder::http {
namespace {

namespace asio = boost::asio;
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

// What one step reads at most before others of the shard have their turn: a peer that sends without
// end, and nothing for us (changes of keys, empty records), is read no faster than that.
constexpr size_t kStepBytes = 64 * 1024;

// What OpenSSL knows of the socket.
struct Wire {
  Socket socket;
  size_t step_left = kStepBytes;
  bool ended = false;  // nothing more comes
};

// --- What OpenSSL calls to read and write (BIO_meth_new(3)). It never waits, and no write to a
// connection that broke is a signal.

int outcome(BIO* bio, ssize_t size, int retry) {
  BIO_clear_retry_flags(bio);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_flags(bio, retry);
  return static_cast<int>(size);
}

int wire_read(BIO* bio, char* buffer, int size) {
  auto& wire = *static_cast<Wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (!wire.socket.is_open()) return -1;
  if (wire.step_left == 0) {
    BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
    return -1;
  }
  const size_t most = std::min(static_cast<size_t>(size), wire.step_left);
  const ssize_t got = recv(wire.socket.native_handle(), buffer, most, MSG_DONTWAIT);
  wire.ended = got == 0;
  if (got > 0) wire.step_left -= static_cast<size_t>(got);
  return outcome(bio, got, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
}

int wire_write(BIO* bio, const char* bytes, int size) {
  auto& wire = *static_cast<Wire*>(BIO_get_data(bio));
  if (!wire.socket.is_open()) return -1;
  const ssize_t sent = send(wire.socket.native_handle(), bytes, static_cast<size_t>(size),
                            MSG_DONTWAIT | MSG_NOSIGNAL);
  return outcome(bio, sent, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY);
}

long wire_control(BIO*, int what, long, void*) {
  return what == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* make_wire_method() {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
  BIO_meth_set_read(method, wire_read);
  BIO_meth_set_write(method, wire_write);
  BIO_meth_set_ctrl(method, wire_control);
  return method;
}

BIO* make_bio(Wire& wire) {
  static BIO_METHOD* const method = make_wire_method();
  BIO* bio = BIO_new(method);
  BIO_set_data(bio, &wire);
  BIO_set_init(bio, 1);
  return bio;
}

struct FreeSsl {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

enum class Side : uint8_t { kServer, kClient };

class TlsStream final : public Stream {
 public:
  TlsStream(Socket socket, TlsContext context, Side side)
      : wire_{std::move(socket)},
        context_(std::move(context)),
        ssl_(SSL_new(context_->native_handle())) {
    BIO* bio = make_bio(wire_);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
    side == Side::kServer ? SSL_set_accept_state(ssl_.get()) : SSL_set_connect_state(ssl_.get());
  }

  Task<Status> readable() override {
    if (SSL_has_pending(ssl_.get()) == 1) co_return Status();
    const auto [error] = co_await wire_.socket.async_wait(Socket::wait_read, kAsTuple);
    co_return error ? Status(broken(error)) : Status();
  }

  Task<Result<size_t>> read_some(std::span<char> buffer) override {
    return drive([this, buffer] {
      return SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
    });
  }

  Task<Status> write(std::vector<std::string_view> pieces) override {
    // One record for what fits one, instead of one a piece.
    std::string joined;
    for (const std::string_view piece : pieces)
      joined.append(piece);
    std::string_view left = joined;
    while (!left.empty()) {
      auto sent = co_await drive([this, left] {
        return SSL_write(ssl_.get(), left.data(), static_cast<int>(left.size()));
      });
      if (!sent.ok()) co_return std::move(sent).error();
      if (*sent == 0) co_return fail(ErrorCode::kUnavailable, "connection: it has ended");
      left.remove_prefix(*sent);
    }
    co_return Status();
  }

  Task<Status> handshake() override {
    auto done = co_await drive([this] { return SSL_do_handshake(ssl_.get()); });
    if (!done.ok()) co_return std::move(done).error();
    if (*done == 0) co_return fail(ErrorCode::kUnavailable, "TLS: the connection has ended");
    co_return Status();
  }

  // Says goodbye, and waits for the other's.
  Task<void> shutdown() override {
    static_cast<void>(co_await drive([this] {
      const int said = SSL_shutdown(ssl_.get());
      return said == 0 ? SSL_shutdown(ssl_.get()) : said;
    }));
  }
  void close() override { close_socket(wire_.socket); }
  bool peer_gone() const override { return is_peer_gone(wire_.socket); }

  SSL* handle() { return ssl_.get(); }

 private:
  // Tries a step of OpenSSL's until it is done, and waits in between for what it needs. Gives what
  // the step gave, 0 at the end of the connection.
  template <class Step>
  Task<Result<size_t>> drive(Step step) {
    for (;;) {
      ERR_clear_error();
      wire_.step_left = kStepBytes;
      const int done = step();
      if (done > 0) co_return static_cast<size_t>(done);
      const int why = SSL_get_error(ssl_.get(), done);
      // A connection that ends without a goodbye has ended all the same: HTTP knows its lengths.
      if (why == SSL_ERROR_ZERO_RETURN || (wire_.ended && why != SSL_ERROR_WANT_WRITE))
        co_return size_t{0};
      if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) co_return failure();
      const auto [error] = co_await wire_.socket.async_wait(
          why == SSL_ERROR_WANT_READ ? Socket::wait_read : Socket::wait_write, kAsTuple);
      if (error) co_return broken(error);
    }
  }

  static Error failure() {
    const char* reason = ERR_reason_error_string(ERR_peek_last_error());
    return fail(ErrorCode::kUnavailable,
                std::string("TLS: ") + (reason != nullptr ? reason : "the connection broke"));
  }

  Wire wire_;
  TlsContext context_;
  std::unique_ptr<SSL, FreeSsl> ssl_;  // dies before what it refers to
};

bool is_address(const std::string& name) {
  boost::system::error_code error;
  asio::ip::make_address(name, error);
  return !error;
}

// That the certificate is for the name, or IP address.
bool want_name(SSL* ssl, const std::string& name) {
  if (name.empty()) return false;
  if (is_address(name))
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) == 1;
  return SSL_set_tlsext_host_name(ssl, name.c_str()) == 1 && SSL_set1_host(ssl, name.c_str()) == 1;
}

}  // namespace

std::unique_ptr<Stream> make_tls_server(Socket socket, TlsContext context) {
  return std::make_unique<TlsStream>(std::move(socket), std::move(context), Side::kServer);
}

std::unique_ptr<Stream> make_tls_client(Socket socket, TlsContext context,
                                        const std::string& name) {
  auto stream = std::make_unique<TlsStream>(std::move(socket), std::move(context), Side::kClient);
  SSL* ssl = stream->handle();
  SSL_set_verify(ssl, SSL_VERIFY_PEER, nullptr);
  // Without a name any certificate would do: then nothing is agreed upon.
  if (!want_name(ssl, name)) stream->close();
  return stream;
}

}  // namespace polder::http
