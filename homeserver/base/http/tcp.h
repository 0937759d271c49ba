// TCP and TLS connections. Private to this module: the only code that knows sockets.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "homeserver/base/http/stream.h"

namespace polder::http {

using Socket = boost::asio::ip::tcp::socket;
using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

std::unique_ptr<Stream> make_stream(Socket socket);
// What both kinds of streams do with their socket.
Error broken(const boost::system::error_code& error);  // kUnavailable
bool is_peer_gone(const Socket& socket);               // as Stream::peer_gone()
void close_socket(Socket& socket);
// Whether the peer has sent something, or ended, in time. Costs less than a stream: who says
// nothing gets none.
Task<bool> wait_readable(runtime::Runtime& runtime, Socket& socket, Millis timeout);
// As a server, before its handshake.
std::unique_ptr<Stream> make_tls_server(Socket socket, TlsContext context);
// As a client, before its handshake, which verifies the chain, and the name (or IP address) in the
// certificate.
std::unique_ptr<Stream> make_tls_client(Socket socket, TlsContext context, const std::string& name);

// PEM files. kInvalid if they cannot be used.
Result<TlsContext> server_context(const std::string& certificate_file, const std::string& key_file);
// Trusts the system's authorities and those of the files.
Result<TlsContext> client_context(const std::vector<std::string>& extra_ca_files);

}  // namespace polder::http
