#include "http/peer.h"

#include <sys/socket.h>

#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include <fmt/format.h>

namespace headrace::serve {
namespace {

constexpr size_t kLocalColumn = 1, kRemoteColumn = 2, kStateColumn = 3, kInodeColumn = 9;  // columns

bool IsMapped(const in6_addr& address) { return IN6_IS_ADDR_V4MAPPED(&address); }

bool IsV4(const sockaddr_storage& address) {
  return address.ss_family == AF_INET || IsMapped(reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

// Its sending half closed, with or without our acknowledgement; then ours too.
bool HasEnded(const std::string& state) { return state == "04" || state == "05" || state == "06" || state == "0B"; }

}  // namespace

std::string TableName(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return fmt::format("{:08X}:{:04X}", v4.sin_addr.s_addr, ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  std::array<uint32_t, 4> words{};
  std::memcpy(words.data(), &v6.sin6_addr, sizeof words);
  std::string name;
  for (size_t i = IsMapped(v6.sin6_addr) ? 3 : 0; i < words.size(); ++i) name += fmt::format("{:08X}", words[i]);
  return fmt::format("{}:{:04X}", name, ntohs(v6.sin6_port));
}

PeerState FindPeer(std::string_view table, std::string_view client, std::string_view server) {
  // The name alone first: a table can have many thousand lines.
  for (size_t at = table.find(client); at != std::string_view::npos; at = table.find(client, at + 1)) {
    const size_t begin = table.rfind('\n', at) + 1;  // 0 when there is none
    std::istringstream line{std::string(table.substr(begin, table.find('\n', at) - begin))};
    const std::vector<std::string> columns{std::istream_iterator<std::string>(line), {}};
    if (columns.size() <= kInodeColumn || columns[kLocalColumn] != client || columns[kRemoteColumn] != server) continue;
    return columns[kInodeColumn] == "0" && HasEnded(columns[kStateColumn]) ? PeerState::kClosed : PeerState::kHeld;
  }
  return PeerState::kUnknown;
}

PeerState LookAtPeer(int socket) {
  sockaddr_storage client{}, server{};
  socklen_t client_size = sizeof client, server_size = sizeof server;
  if (getpeername(socket, reinterpret_cast<sockaddr*>(&client), &client_size) != 0 ||
      getsockname(socket, reinterpret_cast<sockaddr*>(&server), &server_size) != 0) {
    return PeerState::kUnknown;
  }
  std::ifstream file(IsV4(client) ? "/proc/net/tcp" : "/proc/net/tcp6");
  const std::string table{std::istreambuf_iterator<char>(file), {}};
  return FindPeer(table, TableName(client), TableName(server));
}

}  // namespace headrace::serve
