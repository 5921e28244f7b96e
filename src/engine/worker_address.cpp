#include "engine/worker_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "base/shown.h"

namespace headrace::cli {
namespace {

struct Network {
  uint8_t address[4];
  int bits;
};
// This machine, and those that no router of the internet passes on: RFC 1918, link-local, shared address space (VPNs
// use it, too).
constexpr Network kPrivate[] = {{{127, 0, 0, 0}, 8},    {{10, 0, 0, 0}, 8},     {{172, 16, 0, 0}, 12},
                                {{192, 168, 0, 0}, 16}, {{169, 254, 0, 0}, 16}, {{100, 64, 0, 0}, 10}};

uint32_t Number(const uint8_t (&bytes)[4]) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

bool IsPrivate(uint32_t address) {
  return std::any_of(std::begin(kPrivate), std::end(kPrivate), [&](const Network& network) {
    return (address ^ Number(network.address)) >> (32 - network.bits) == 0;
  });
}

Status NotUnderstood(const char* option, const std::string& text, const std::string& why) {
  return Status(Code::kInvalidArgument, fmt::format("{} {}: {}", option, Shown(text), why));
}

// Splits HOST[:PORT].
Result<WorkerAddress> Split(const char* option, const std::string& text) {
  WorkerAddress address;
  const size_t colon = text.rfind(':');
  address.host = text.substr(0, colon);
  if (text.find(':') != colon || text.starts_with('[')) {
    return NotUnderstood(option, text,
                         "llama.cpp's RPC backend knows no IPv6; name an IPv4 address, for instance 192.168.1.5:50052");
  }
  if (colon != std::string::npos) {
    const std::string port = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (error != std::errc() || end != port.data() + port.size())
      return NotUnderstood(option, text, "the port is a number from 1 to 65535, for instance 50052");
  }
  if (address.host.empty()) return NotUnderstood(option, text, "write HOST:PORT, for instance 192.168.1.5:50052");
  return address;
}

}  // namespace

Result<WorkerAddress> ParseListenAddress(const std::string& text) {
  constexpr const char* kOption = "--listen";
  auto address = Split(kOption, text);
  if (!address.ok()) return address;
  if (address->host == "localhost") address->host = "127.0.0.1";
  in_addr number{};
  if (inet_pton(AF_INET, address->host.c_str(), &number) != 1)
    return NotUnderstood(kOption, text, "write an IPv4 address of this machine, for instance 192.168.1.5:50052");
  const uint32_t ip = ntohl(number.s_addr);
  constexpr const char* kUnprotected =
      "llama.cpp's RPC server asks nobody for a password and encrypts nothing, and whoever reaches it can use and harm "
      "this machine";
  if (ip == 0) {
    return NotUnderstood(kOption, text,
                         fmt::format("that is every network of this machine, and {}; name its address in the private "
                                     "network (`ip address` lists them)",
                                     kUnprotected));
  }
  if (!IsPrivate(ip)) {
    return NotUnderstood(
        kOption, text,
        fmt::format("that is no private address, and {}; name an address of a private network (10.0.0.0/8, "
                    "172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, 100.64.0.0/10), for instance of a VPN, or keep "
                    "127.0.0.1 and reach it with `ssh -L {}:127.0.0.1:{} THIS_MACHINE`",
                    kUnprotected, address->port, address->port));
  }
  return address;
}

Result<std::vector<WorkerAddress>> ParseWorkers(const std::string& text) {
  constexpr const char* kOption = "--workers";
  std::vector<WorkerAddress> workers;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    auto worker = Split(kOption, text.substr(begin, end - begin));
    if (!worker.ok()) return worker.status();
    if (worker->port == 0)
      return NotUnderstood(kOption, text, "the port is a number from 1 to 65535, for instance 50052");
    const auto same = [&](const WorkerAddress& other) { return other.text() == worker->text(); };
    if (std::none_of(workers.begin(), workers.end(), same)) workers.push_back(std::move(*worker));
    begin = end + 1;
  }
  return workers;
}

}  // namespace headrace::cli
