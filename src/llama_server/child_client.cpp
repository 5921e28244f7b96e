#include "llama_server/child_client.h"

#include <limits>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <fmt/format.h>

#include "base/size.h"
#include "http/event_reader.h"
#include "http/http.h"
#include "report/exit_status.h"

namespace headrace::serve {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using Socket = asio::local::stream_protocol::socket;

namespace {

Task<ErrorCode> Send(Socket& socket, std::string socket_path, std::string method, std::string target,
                     std::string body) {
  ErrorCode error;
  co_await socket.async_connect(asio::local::stream_protocol::endpoint(socket_path), Into(error));
  if (error) co_return error;
  http::request<http::string_body> request(http::string_to_verb(method), target, 11);
  request.set(http::field::host, "localhost");
  request.set(http::field::content_type, "application/json");
  request.keep_alive(false);
  request.body() = std::move(body);
  request.prepare_payload();
  co_await http::async_write(socket, request, Into(error));
  co_return error;
}

Status Failed(std::string_view method, std::string_view target, const ErrorCode& error) {
  return Status(Code::kIo, fmt::format("{} {}: {}", method, target, error.message()));
}

}  // namespace

Task<Result<ChildAnswer>> AskChild(std::string socket_path, std::string method, std::string target, std::string body,
                                   Millis time) {
  const auto executor = co_await asio::this_coro::executor;
  // Shared with the alarm, which may be on its way when the answer is here.
  const auto socket = std::make_shared<Socket>(executor);
  asio::steady_timer alarm(executor, time);
  const auto late = std::make_shared<bool>(false);
  alarm.async_wait([socket, late](ErrorCode cancelled) {
    if (cancelled) return;
    *late = true;
    ErrorCode ignored;
    socket->close(ignored);
  });
  const auto failed = [&](const ErrorCode& error) {
    if (!*late) return Failed(method, target, error);
    return Status(Code::kIo, fmt::format("{} {}: no answer within {} s", method, target,
                                         std::chrono::duration<double>(time).count()));
  };
  ErrorCode error = co_await Send(*socket, std::move(socket_path), method, target, std::move(body));
  if (error) co_return failed(error);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(std::numeric_limits<uint64_t>::max());
  co_await http::async_read(*socket, buffer, parser, Into(error));
  if (error) co_return failed(error);
  alarm.cancel();
  co_return ChildAnswer{static_cast<int>(parser.get().result_int()), std::move(parser.get().body())};
}

Task<Result<ChildAnswer>> StreamFromChild(std::string socket_path, std::string target, std::string body,
                                          OnEvent on_event) {
  Socket socket(co_await asio::this_coro::executor);
  ErrorCode error = co_await Send(socket, std::move(socket_path), "POST", target, std::move(body));
  if (error) co_return Failed("POST", target, error);
  beast::flat_buffer buffer;
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(std::numeric_limits<uint64_t>::max());  // "none" refuses every length in Boost 1.74
  co_await http::async_read_header(socket, buffer, parser, Into(error));
  if (error) co_return Failed("POST", target, error);
  ChildAnswer answer{static_cast<int>(parser.get().result_int()), ""};
  const bool events = parser.get()[http::field::content_type].starts_with("text/event-stream");
  EventReader reader;
  std::string piece(64 * kKiB, '\0');
  while (!parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    co_await http::async_read_some(socket, buffer, parser, Into(error));
    const std::string_view read(piece.data(), piece.size() - parser.get().body().size);
    if (!events) answer.body += read;
    for (const std::string& event : events ? reader.Feed(read) : std::vector<std::string>()) {
      if (!on_event(event)) co_return Status(Code::kCancelled, fmt::format("POST {}: no more is wanted", target));
    }
    if (error && error != http::error::need_buffer) co_return Failed("POST", target, error);
  }
  co_return answer;
}

Status RefusalOf(const std::string& body) {
  const Json json = JsonOrNull(body);
  const Json* error = FindMember(json, "error");
  const Json* message = error != nullptr ? FindMember(*error, "message") : nullptr;
  const Json words = message != nullptr ? *message : error != nullptr ? *error : Json();
  std::string text = words.is_string() ? words.get<std::string>() : words.is_null() ? "" : Dump(words);
  if (text.empty()) text = cli::OneLine(body);
  return Status(Code::kInternal, "llama-server: " + text);
}

}  // namespace headrace::serve
