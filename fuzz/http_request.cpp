// A client of the real listener: sends the bytes over loopback and reads until the connection ends. Each answer begins
// as HTTP does.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

#include "base/size.h"
#include "fuzz.h"
#include "http/guard.h"
#include "http/listener.h"
#include "serve/api/requested_model.h"

using namespace headrace;
using namespace headrace::serve;

namespace {

class Server {
 public:
  Server() : listener_(loop_.get_executor(), rules_) {
    rules_.body_bytes = 64 * kKiB;
    rules_.check = [this](const Request& request) { return CheckRequest(guard_, request, request.path == "/"); };
    rules_.handle = [](Exchange& exchange) -> Task<> {
      const auto model = RequestedModel(exchange.request());
      if (model.ok()) {
        co_await exchange.Send(JsonReply({{"model", *model}, {"path", exchange.request().path}}));
      } else {
        co_await exchange.Send(ErrorReply(model.status()));
      }
    };
    fuzz::Require(listener_.Open("127.0.0.1", 0).ok(), "the listener has no port");
    listener_.Begin(kDescriptorsWanted);
  }

  std::string Ask(std::string_view bytes) {
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(listener_.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fuzz::Require(connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
                  "the listener takes no connection");
    std::string answer;
    char buffer[4096];
    bool open = true;
    // A client that went away at the end of its words gets no further answer: the connection stays half open until all
    // is answered.
    for (int idle = 0; open && idle < 3;) {
      loop_.restart();
      loop_.poll();
      if (!bytes.empty()) {
        const ssize_t sent = send(client, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) bytes.remove_prefix(static_cast<size_t>(sent));
        if (sent < 0 && errno != EAGAIN) bytes = {};
        if (bytes.empty()) shutdown(client, SHUT_WR);
      }
      loop_.poll();
      pollfd ready{client, POLLIN, 0};
      if (poll(&ready, 1, 1) == 0) {
        ++idle;
        continue;
      }
      const ssize_t count = recv(client, buffer, sizeof buffer, MSG_DONTWAIT);
      if (count > 0) answer.append(buffer, static_cast<size_t>(count));
      open = count > 0;
    }
    const linger reset{1, 0};
    setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(client);
    loop_.restart();
    loop_.poll();
    return answer;
  }

 private:
  asio::io_context loop_;
  GuardRules guard_{true, {"secret"}};
  ConnectionRules rules_;
  Listener listener_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Server server;
  const std::string answer = server.Ask(fuzz::Text(data, size));
  fuzz::Require(answer.empty() || answer.starts_with("HTTP/1."), "an answer is no HTTP");
  return 0;
}
