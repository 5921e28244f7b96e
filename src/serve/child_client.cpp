#include "serve/child_client.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <fmt/format.h>

namespace headrace::serve {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using Socket = asio::local::stream_protocol::socket;

Task<Result<ChildAnswer>> AskChild(std::string socket_path, std::string method, std::string target, std::string body) {
  Socket socket(co_await asio::this_coro::executor);
  ErrorCode error;
  const auto failed = [&] { return Status(Code::kIo, fmt::format("{} {}: {}", method, target, error.message())); };
  co_await socket.async_connect(asio::local::stream_protocol::endpoint(socket_path), Into(error));
  if (error) co_return failed();
  http::request<http::string_body> request(http::string_to_verb(method), target, 11);
  request.set(http::field::host, "localhost");
  request.set(http::field::content_type, "application/json");
  request.keep_alive(false);
  request.body() = std::move(body);
  request.prepare_payload();
  co_await http::async_write(socket, request, Into(error));
  if (error) co_return failed();
  beast::flat_buffer buffer;
  http::response<http::string_body> response;
  co_await http::async_read(socket, buffer, response, Into(error));
  if (error) co_return failed();
  co_return ChildAnswer{static_cast<int>(response.result_int()), std::move(response.body())};
}

}  // namespace headrace::serve
