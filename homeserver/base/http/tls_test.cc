// Peers of a TLS listener that do not do their part.
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <future>
#include <memory>
#include <thread>

#include "homeserver/base/http/client.h"
#include "homeserver/base/http/server.h"
#include "homeserver/base/runtime/threads.h"

namespace polder::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

template <class T, void (*Free)(T*)>
using Owned = std::unique_ptr<T, decltype([](T* made) { Free(made); })>;

// A key and a certificate for it, of b.example and 127.0.0.1, in PEM files.
void make_certificate(const std::string& certificate_file, const std::string& key_file) {
  const Owned<EVP_PKEY, EVP_PKEY_free> key(EVP_EC_gen("P-256"));
  const Owned<X509, X509_free> certificate(X509_new());
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_NID(name, NID_organizationName, MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("polder"), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  const Owned<X509_EXTENSION, X509_EXTENSION_free> names(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:b.example,IP:127.0.0.1"));
  X509_add_ext(certificate.get(), names.get(), -1);
  X509_set_pubkey(certificate.get(), key.get());
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  const auto write = [](const std::string& path, auto put) {
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "w"), std::fclose);
    ASSERT_NE(file, nullptr);
    ASSERT_EQ(put(file.get()), 1);
  };
  write(certificate_file, [&](FILE* file) { return PEM_write_X509(file, certificate.get()); });
  write(key_file, [&](FILE* file) {
    return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
}

class TlsServerTest : public testing::Test {
 protected:
  TlsServerTest() {
    directory_ = testing::TempDir() + "polder-tls-XXXXXX";
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    make_certificate(directory_ + "/crt", directory_ + "/key");
    router_.add(
        {.method = Method::kGet, .path = "/", .handler = [](Exchange&) -> Task<Result<Response>> {
           co_return Response::json(200, "{}");
         }});
    router_.add({.method = Method::kPost,
                 .path = "/echo",
                 .body_max = 1'000'000,
                 .handler = [](Exchange& exchange) -> Task<Result<Response>> {
                   co_return Response::json(200, exchange.request.body);
                 }});
    runtime_ = runtime::Threads::create({.shards = 1, .pool_threads = 1}, clock_, random_, log_);
    ServerLimits limits;
    limits.timeouts.handshake = Millis(300);
    limits.timeouts.goodbye = Millis(300);
    limits.handshakes = {.all = 3, .listener = 3, .network = 3, .address = 3};
    server_ = std::make_unique<Server>(*runtime_, router_, limits);
    ListenerOptions options;
    options.bind = "127.0.0.1";
    options.tls_certificate = directory_ + "/crt";
    options.tls_key = directory_ + "/key";
    options.resources.set();
    port_ = *server_->listen(options);
    thread_ = std::thread([this] { runtime_->run(); });
  }
  ~TlsServerTest() override {
    runtime_->stop();
    thread_.join();
    server_.reset();
    runtime_.reset();
    std::filesystem::remove_all(directory_);
  }

  tcp::socket connect() {
    tcp::socket socket(context_);
    socket.connect({asio::ip::make_address("127.0.0.1"), port_});
    return socket;
  }
  // Whether the server soon has so many.
  bool connections(size_t count) {
    for (int i = 0; i < 1000 && server_->connections() != count; ++i)
      std::this_thread::sleep_for(Millis(5));
    return server_->connections() == count;
  }

  std::string directory_;
  asio::io_context context_;
  base::SystemClock clock_;
  base::SystemRandom random_;
  base::NullLog log_;
  Router router_;
  std::unique_ptr<runtime::Threads> runtime_;
  std::unique_ptr<Server> server_;
  uint16_t port_ = 0;
  std::thread thread_;
};

TEST_F(TlsServerTest, AHandshakeHasItsTime) {
  auto silent = connect();
  auto begun = connect();
  asio::write(begun, asio::buffer("\x16", 1));
  ASSERT_TRUE(connections(2));
  EXPECT_TRUE(connections(0));
  auto slow = connect();
  boost::system::error_code error;
  const auto started = clock_.steady();
  const std::string record("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
  for (size_t i = 0; i < 100 && !error; ++i) {
    asio::write(slow, asio::buffer(i < record.size() ? record.substr(i, 1) : "x"), error);
    std::this_thread::sleep_for(Millis(50));
  }
  EXPECT_TRUE(error) << "each byte renews the time";
  EXPECT_LT(clock_.steady() - started, std::chrono::seconds(4));
}

TEST_F(TlsServerTest, TheOldestHandshakeMakesWay) {
  std::vector<tcp::socket> begun;
  for (int i = 0; i < 3; ++i) {
    begun.push_back(connect());
    asio::write(begun.back(), asio::buffer("\x16", 1));
  }
  ASSERT_TRUE(connections(3));
  asio::ssl::context context(asio::ssl::context::tls_client);
  for (int i = 0; i < 5; ++i) {
    asio::ssl::stream<tcp::socket> stream(connect(), context);
    boost::system::error_code error;
    stream.handshake(asio::ssl::stream_base::client, error);
    EXPECT_FALSE(error) << i << ": " << error.message();
  }
}

Task<void> ask(Transport& transport, ClientRequest request,
               std::promise<Result<ClientResponse>>& answer) {
  answer.set_value(co_await transport.send(std::move(request)));
}

TEST_F(TlsServerTest, AClientTrustsTheNameOrAddressOfTheCertificateOnly) {
  const std::string large(200'000, 'x');
  struct Case {
    std::string name;
    bool known_authority, answered;
  };
  for (const Case& c : {Case{"b.example", true, true}, Case{"127.0.0.1", true, true},
                        Case{"c.example", true, false}, Case{"127.0.0.2", true, false},
                        Case{"", true, false}, Case{"b.example", false, false}}) {
    std::vector<std::string> authorities;
    if (c.known_authority) authorities.push_back(directory_ + "/crt");
    const auto transport = make_transport(*runtime_, authorities);
    ClientRequest request;
    request.address = "127.0.0.1";
    request.port = port_;
    request.tls_name = c.name;
    request.host = "h";
    request.method = Method::kPost;
    request.target = "/echo";
    request.body = large;
    std::promise<Result<ClientResponse>> answer;
    runtime::spawn(*runtime_, runtime_->shard(0), "ask",
                   ask(**transport, std::move(request), answer));
    const auto answered = answer.get_future().get();
    EXPECT_EQ(answered.ok(), c.answered) << c.name;
    if (answered.ok()) EXPECT_EQ(answered->body, large) << "of many records, both ways";
  }
}

TEST_F(TlsServerTest, WhoNeverSaysGoodbyeIsLetGo) {
  asio::ssl::context tls(asio::ssl::context::tls_client);
  asio::ssl::stream<tcp::socket> stream(connect(), tls);
  stream.handshake(asio::ssl::stream_base::client);
  const std::string request = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  asio::write(stream, asio::buffer(request));
  std::array<char, 12> begin{};
  asio::read(stream, asio::buffer(begin));
  EXPECT_EQ(std::string(begin.data(), begin.size()), "HTTP/1.1 200");
  EXPECT_TRUE(connections(0));
}

// A client's connection, which has read an answer, and with it the ticket: so TLS 1.3 sends it.
struct Visit {
  bool reused = false;
  Owned<SSL_SESSION, SSL_SESSION_free> session;
};

Visit visit(tcp::socket socket, int version, bool tickets, SSL_SESSION* resumed) {
  asio::ssl::context tls(asio::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(tls.native_handle(), version);
  SSL_CTX_set_max_proto_version(tls.native_handle(), version);
  if (!tickets) SSL_CTX_set_options(tls.native_handle(), SSL_OP_NO_TICKET);
  asio::ssl::stream<tcp::socket> stream(std::move(socket), tls);
  if (resumed != nullptr) SSL_set_session(stream.native_handle(), resumed);
  stream.handshake(asio::ssl::stream_base::client);
  const std::string request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  asio::write(stream, asio::buffer(request));
  std::array<char, 12> begin{};
  asio::read(stream, asio::buffer(begin));
  Visit made;
  made.reused = SSL_session_reused(stream.native_handle()) == 1;
  made.session.reset(SSL_get1_session(stream.native_handle()));
  boost::system::error_code ignored;
  stream.shutdown(ignored);
  return made;
}

TEST_F(TlsServerTest, SessionsAreResumedByTicketsAndKeptByNoCache) {
  struct Case {
    int version;
    bool tickets, resumed;
  };
  for (const Case& c : {Case{TLS1_2_VERSION, true, true}, Case{TLS1_2_VERSION, false, false},
                        Case{TLS1_3_VERSION, true, true}}) {
    const Visit first = visit(connect(), c.version, c.tickets, nullptr);
    EXPECT_FALSE(first.reused);
    const Visit second = visit(connect(), c.version, c.tickets, first.session.get());
    EXPECT_EQ(second.reused, c.resumed) << std::hex << c.version << c.tickets;
  }
}

TEST_F(TlsServerTest, NewCertificatesAreShownToWhoComesLater) {
  const auto shown = [&] {
    asio::ssl::context tls(asio::ssl::context::tls_client);
    asio::ssl::stream<tcp::socket> stream(connect(), tls);
    stream.handshake(asio::ssl::stream_base::client);
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(
        SSL_get1_peer_certificate(stream.native_handle()), X509_free);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    X509_digest(certificate.get(), EVP_sha256(), digest.data(), &size);
    return std::string(digest.begin(), digest.begin() + size);
  };
  const std::string first = shown();
  make_certificate(directory_ + "/crt", directory_ + "/key");
  EXPECT_EQ(shown(), first);
  const auto read = server_->read_certificates();
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(shown(), first) << "they are not in use yet";
  server_->use(**read);
  const std::string second = shown();
  EXPECT_NE(second, first);
  std::filesystem::remove(directory_ + "/key");
  EXPECT_FALSE(server_->read_certificates().ok());
  EXPECT_EQ(shown(), second);
}

// Nobody ever writes into the pipe.
TEST_F(TlsServerTest, OnlyRegularFilesHaveCertificates) {
  const std::string pipe = directory_ + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  struct Case {
    std::string certificate, key;
  };
  for (const Case& c : {Case{pipe, directory_ + "/key"}, Case{directory_ + "/crt", pipe},
                        Case{directory_, directory_ + "/key"}}) {
    ListenerOptions options;
    options.bind = "127.0.0.1";
    options.tls_certificate = c.certificate;
    options.tls_key = c.key;
    EXPECT_EQ(server_->listen(options).error().code, ErrorCode::kInvalid);
  }
  EXPECT_EQ(make_transport(*runtime_, {pipe}).error().code, ErrorCode::kInvalid);
  ASSERT_EQ(::rename(pipe.c_str(), (directory_ + "/key").c_str()), 0);
  EXPECT_FALSE(server_->read_certificates().ok());
}

}  // namespace
}  // namespace polder::http
