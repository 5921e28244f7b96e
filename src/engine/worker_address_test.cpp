#include "engine/worker_address.h"

#include <gtest/gtest.h>

namespace headrace::cli {
namespace {

std::string Listens(const std::string& text) {
  const auto address = ParseListenAddress(text);
  return address.ok() ? address->text() : "refused: " + address.status().message();
}

bool Says(const std::string& text, const std::string& part) {
  const std::string said = Listens(text);
  return said.starts_with("refused: ") && said.find(part) != std::string::npos;
}

TEST(WorkerAddress, ListensInPrivateNetworks) {
  EXPECT_EQ(Listens("127.0.0.1"), "127.0.0.1:50052");
  EXPECT_EQ(Listens("localhost:7000"), "127.0.0.1:7000");
  EXPECT_EQ(Listens("127.0.0.1:0"), "127.0.0.1:0");
  for (const char* address : {"127.255.255.254", "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255",
                              "192.168.0.1", "192.168.255.255", "169.254.7.7", "100.64.0.1", "100.127.255.255"})
    EXPECT_EQ(Listens(address), std::string(address) + ":50052");
}

TEST(WorkerAddress, RefusesThePublic) {
  for (const char* address :
       {"9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "169.253.0.1",
        "100.63.255.255", "100.128.0.0", "126.0.0.1", "128.0.0.1", "8.8.8.8", "224.0.0.1", "255.255.255.255"}) {
    EXPECT_TRUE(Says(address, "no private address")) << Listens(address);
    EXPECT_TRUE(Says(address, "ssh -L")) << Listens(address);
  }
  EXPECT_TRUE(Says("0.0.0.0", "every network")) << Listens("0.0.0.0");
  EXPECT_TRUE(Says("0.0.0.0:50052", "ip address"));
}

TEST(WorkerAddress, RefusesWhatTheServerDoesNotKnow) {
  for (const char* address : {"::", "::1", "[::1]:50052", "fe80::1", "fc00::1"})
    EXPECT_TRUE(Says(address, "IPv6")) << Listens(address);
  for (const char* address : {"", ":50052"}) EXPECT_TRUE(Says(address, "HOST:PORT")) << Listens(address);
  for (const char* address : {"10.0.0.1:", "10.0.0.1:x", "10.0.0.1:65536", "10.0.0.1:-1", "10.0.0.1:1 "})
    EXPECT_TRUE(Says(address, "port is a number")) << Listens(address);
  for (const char* address : {"example.org", "10.0.0", "010.0.0.1", "10.0.0.1 "})
    EXPECT_TRUE(Says(address, "IPv4 address of this machine")) << Listens(address);
}

TEST(WorkerAddress, ReadsLists) {
  const auto workers = ParseWorkers("10.0.0.2,box.lan:7000,10.0.0.2:50052");
  ASSERT_TRUE(workers.ok()) << workers.status().message();
  ASSERT_EQ(workers->size(), 2u);
  EXPECT_EQ(workers->front().text(), "10.0.0.2:50052");
  EXPECT_EQ(workers->back().text(), "box.lan:7000");
  for (const char* text : {"", ",", "a,", "a:0", "a:b", "::1", "a,,b"}) EXPECT_FALSE(ParseWorkers(text).ok()) << text;
}

}  // namespace
}  // namespace headrace::cli
