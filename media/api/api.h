// The endpoints of media, for clients and for other servers.
// https://spec.matrix.org/v1.19/client-server-api/#content-repository
// https://spec.matrix.org/v1.19/server-server-api/#content-repository
#pragma once

#include "homeserver/base/http/router.h"
#include "homeserver/protocol/policy/decide.h"
#include "media/files/library.h"
#include "media/remote/remote.h"

namespace polder::media_api {

// All outlive the router that the routes are added to.
struct Api {
  runtime::Runtime& runtime;
  media::Library& library;
  remote_media::RemoteMedia& remote;
  policy::Ask ask;                // whether somebody may
  bool legacy_downloads = false;  // serve media without authentication
};

// Routes of clients need a hook around the handlers that sets the caller of an exchange to a
// users::Session where a token is needed; those of servers, one that checks the signature.
void add_upload_routes(http::Router& router, const Api& api);  // upload, create, configuration
void add_download_routes(http::Router& router, const Api& api);
void add_federation_routes(http::Router& router, const Api& api);

}  // namespace polder::media_api
