#include "homeserver/base/http/tcp.h"

#include <netinet/tcp.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "homeserver/base/http/client.h"
#include "homeserver/base/http/server.h"
#include "storage/files/files.h"

namespace polder::http {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

class TcpStream final : public Stream {
 public:
  explicit TcpStream(Socket socket) : socket_(std::move(socket)) {}
  Task<Status> readable() override {
    const auto [error] = co_await socket_.async_wait(Socket::wait_read, kTuple);
    came_ = !error;
    co_return error ? Status(broken(error)) : Status();
  }
  Task<Result<size_t>> read_some(std::span<char> buffer) override {
    // What was waited for is there, and others of the shard had their turn.
    if (std::exchange(came_, false)) {
      const ssize_t got = recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got >= 0) co_return static_cast<size_t>(got);
    }
    auto [error, size] =
        co_await socket_.async_read_some(asio::buffer(buffer.data(), buffer.size()), kTuple);
    if (error == asio::error::eof) co_return size_t{0};
    if (error) co_return broken(error);
    co_return size;
  }
  Task<Status> write(std::vector<std::string_view> pieces) override {
    std::vector<asio::const_buffer> buffers;
    buffers.reserve(pieces.size());
    for (const std::string_view piece : pieces)
      buffers.emplace_back(piece.data(), piece.size());
    auto [error, size] = co_await asio::async_write(socket_, buffers, kTuple);
    if (error) co_return broken(error);
    co_return Status();
  }
  Task<void> shutdown() override {
    end_writing();
    co_return;
  }
  void end_writing() override {
    boost::system::error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }
  void close() override { close_socket(socket_); }
  bool peer_gone() const override { return is_peer_gone(socket_); }

 private:
  Socket socket_;
  bool came_ = false;  // something, or the end, that was not read yet
};

void harden(ssl::context& context) {
  context.set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 |
                      ssl::context::no_sslv3 | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1 |
                      ssl::context::no_compression);
  SSL_CTX_set_options(context.native_handle(), SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_cipher_list(context.native_handle(), "ECDHE+AESGCM:ECDHE+CHACHA20");
}

int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_size,
                const unsigned char* offered, unsigned offered_size, void*) {
  static constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kHttp11, sizeof kHttp11, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

Error broken(const boost::system::error_code& error) {
  return fail(ErrorCode::kUnavailable, "connection: " + error.message());
}

bool is_peer_gone(const Socket& socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  const int handle = const_cast<Socket&>(socket).native_handle();
  if (getsockopt(handle, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return true;
  return info.tcpi_state != TCP_ESTABLISHED && info.tcpi_state != TCP_CLOSE_WAIT;
}

void close_socket(Socket& socket) {
  boost::system::error_code ignored;
  socket.shutdown(Socket::shutdown_both, ignored);
  socket.close(ignored);
}

std::unique_ptr<Stream> make_stream(Socket socket) {
  return std::make_unique<TcpStream>(std::move(socket));
}

Task<bool> wait_readable(runtime::Runtime& runtime, Socket& socket, Millis timeout) {
  auto expired = std::make_shared<bool>(false);
  const auto timer = runtime.after(timeout, [&socket, expired] {
    *expired = true;
    close_socket(socket);
  });
  const auto [error] = co_await socket.async_wait(Socket::wait_read, kTuple);
  timer->cancel();
  co_return !error && !*expired;
}

namespace {

constexpr uint64_t kPemBytesMax = 4 << 20;

Error unusable(const std::string& file, const boost::system::error_code& error) {
  return fail(ErrorCode::kInvalid, file + ": " + error.message());
}

// Not by OpenSSL itself, which would wait for ever for what is no regular file.
Result<std::string> read_pem(const std::string& file) {
  return files::real_files()->read_all(file, kPemBytesMax);
}

}  // namespace

Result<TlsContext> server_context(const std::string& certificate_file,
                                  const std::string& key_file) {
  POLDER_TRY(const std::string certificate, read_pem(certificate_file));
  POLDER_TRY(const std::string key, read_pem(key_file));
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  harden(*context);
  SSL_CTX_set_alpn_select_cb(context->native_handle(), choose_alpn, nullptr);
  // Sessions are resumed by tickets, which their clients keep: a cache would hold the last 20,480
  // of anybody who comes without.
  SSL_CTX_set_session_cache_mode(context->native_handle(), SSL_SESS_CACHE_OFF);
  boost::system::error_code error;
  context->use_certificate_chain(boost::asio::buffer(certificate), error);
  if (error) return unusable(certificate_file, error);
  // A key that needs a password cannot be used: OpenSSL would ask for it at the terminal.
  context->set_password_callback([](size_t, ssl::context::password_purpose) { return ""; }, error);
  if (!error) context->use_private_key(boost::asio::buffer(key), ssl::context::pem, error);
  if (error) return unusable(key_file, error);
  return context;
}

Status check_certificate(const std::string& certificate_file, const std::string& key_file) {
  const auto context = server_context(certificate_file, key_file);
  return context.ok() ? Status() : Status(context.error());
}

Status check_authorities(const std::vector<std::string>& extra_ca_files) {
  const auto context = client_context(extra_ca_files);
  return context.ok() ? Status() : Status(context.error());
}

Result<TlsContext> client_context(const std::vector<std::string>& extra_ca_files) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
  harden(*context);
  boost::system::error_code error;
  context->set_default_verify_paths(error);
  for (const std::string& file : extra_ca_files) {
    POLDER_TRY(const std::string authorities, read_pem(file));
    context->add_certificate_authority(boost::asio::buffer(authorities), error);
    if (error) return unusable(file, error);
  }
  return context;
}

}  // namespace polder::http
