// The policy's rules, one a file.
#pragma once

#include "homeserver/protocol/policy/decide.h"

namespace polder::policy {

Finding check_account(const Act& act, const Actor& actor, const Facts& facts);  // accounts.cc
Finding check_guest(const Act& act, const Actor& actor, const Facts& facts);    // guests.cc
Finding check_registration(const Act& act, const Actor& actor,
                           const Facts& facts);  // registration.cc
Finding check_federation(const Act& act, const Actor& actor,
                         const Facts& facts);                                     // federation.cc
Finding check_redaction(const Act& act, const Actor& actor, const Facts& facts);  // redaction.cc
Finding check_administration(const Act& act, const Actor& actor,
                             const Facts& facts);  // administration.cc
Finding check_privileges(const Act& act, const Actor& actor,
                         const Facts& facts);  // privileges.cc

}  // namespace polder::policy
