// What the service manager is told: sd_notify's protocol, which systemd and others speak.
// https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
#pragma once

#include <string_view>

namespace polder::server {

// Nothing happens without $NOTIFY_SOCKET, or if nobody listens there.
void notify_service_manager(std::string_view state);

inline constexpr std::string_view kReady = "READY=1\n";
inline constexpr std::string_view kStopping = "STOPPING=1\n";
// While the configuration is read again, for units of Type=notify-reload; kReady ends it.
void notify_reloading();

}  // namespace polder::server
