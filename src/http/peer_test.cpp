#include "http/peer.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

constexpr const char* kTable =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 0100007F:BFC3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 36954 1 "
    "0000000000000000 100 0 0 10 0\n"
    "   1: 0100007F:BFC3 0100007F:910A 08 00000000:00000000 00:00000000 00000000     0        0 36957 1 "
    "0000000000000000 20 4 0 10 -1\n"
    "   2: 0100007F:910A 0100007F:BFC3 05 00000000:00000000 00:00000000 00000000     0        0 36956 1 "
    "0000000000000000 20 4 0 10 -1\n"
    "   3: 0100007F:910B 0100007F:BFC3 05 00000000:00000000 03:00001752 00000000     0        0 0 3 0000000000000000\n"
    "   4: 0100007F:910C 0100007F:BFC4 01 00000000:00000000 00:00000000 00000000     0        0 0 1\n"
    "   5: 0100007F:910D 0100007F:BFC3 05";

TEST(Peer, InATable) {
  EXPECT_EQ(FindPeer(kTable, "0100007F:910A", "0100007F:BFC3"), PeerState::kHeld) << "half closed";
  EXPECT_EQ(FindPeer(kTable, "0100007F:910B", "0100007F:BFC3"), PeerState::kClosed);
  EXPECT_EQ(FindPeer(kTable, "0100007F:910C", "0100007F:BFC4"), PeerState::kHeld);
  EXPECT_EQ(FindPeer(kTable, "0100007F:910C", "0100007F:BFC3"), PeerState::kUnknown) << "to another port";
  EXPECT_EQ(FindPeer(kTable, "0100007F:910D", "0100007F:BFC3"), PeerState::kUnknown) << "half a line";
  EXPECT_EQ(FindPeer("", "0100007F:910D", "0100007F:BFC3"), PeerState::kUnknown);
}

TEST(Peer, NamesInTables) {
  sockaddr_storage address{};
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(8080);
  inet_pton(AF_INET6, "::1", &v6.sin6_addr);
  EXPECT_EQ(TableName(address), "00000000000000000000000001000000:1F90");
  inet_pton(AF_INET6, "::ffff:127.0.0.1", &v6.sin6_addr);
  EXPECT_EQ(TableName(address), "0100007F:1F90");
}

// What the kernel here really says.
void ClosingHalfAndWhole(int family) {
  sockaddr_storage address{};
  address.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET) reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (family == AF_INET6) reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
  socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  const int listener = socket(family, SOCK_STREAM, 0), client = socket(family, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0)
    GTEST_SKIP() << "no such address here";
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), size), 0);
  const int server = accept(listener, nullptr, nullptr);
  EXPECT_EQ(LookAtPeer(server), PeerState::kHeld);
  shutdown(client, SHUT_WR);
  EXPECT_EQ(LookAtPeer(server), PeerState::kHeld);
  const int copy = dup(client);
  close(client);
  EXPECT_EQ(LookAtPeer(server), PeerState::kHeld) << "another program may have it too";
  close(copy);
  EXPECT_EQ(LookAtPeer(server), PeerState::kClosed);
  close(server);
  close(listener);
}

TEST(Peer, ClosesHalfOrWhole) { ClosingHalfAndWhole(AF_INET); }
TEST(Peer, ClosesHalfOrWholeOfIpv6) { ClosingHalfAndWhole(AF_INET6); }

}  // namespace
}  // namespace headrace::serve
