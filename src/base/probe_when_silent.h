// Connections whose other end is gone without a word are noticed.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace headrace {

// From so much silence on the kernel asks the other one's kernel, as often and so many times; then the connection
// breaks.
inline void ProbeWhenSilent(int socket, int seconds, int times) {
  const auto set = [&](int level, int name, int value) { setsockopt(socket, level, name, &value, sizeof value); };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, seconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, seconds);
  set(IPPROTO_TCP, TCP_KEEPCNT, times);
}

}  // namespace headrace
