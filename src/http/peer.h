// What the kernel knows of the program at the other end of a connection.
//
// A client that closes its connection and one that closes only its sending half, and still waits for its answer, look
// the same from here: both send the same end. Asking over the connection would put bytes into it that the client does
// not expect. But where the client runs on this machine, the kernel lists its end too, and whether a program still
// holds it.
#pragma once

#include <netinet/in.h>

#include <string>
#include <string_view>

namespace headrace::serve {

enum class PeerState {
  kHeld,     // by a program
  kClosed,   // by everyone who had it
  kUnknown,  // of another machine or another network namespace
};

PeerState LookAtPeer(int socket);

// "0100007F:1F90", as the kernel's tables write it. An IPv4 address within IPv6 is in the table of IPv4.
std::string TableName(const sockaddr_storage& address);

// Of the connection from `client` to `server` in a table as /proc/net/tcp has it. Pure.
PeerState FindPeer(std::string_view table, std::string_view client, std::string_view server);

}  // namespace headrace::serve
