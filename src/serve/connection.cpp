#include "serve/connection.h"

#include <fmt/format.h>

#include "base/size.h"

namespace headrace::serve {

namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

constexpr auto kHeaderTime = std::chrono::seconds(75);
constexpr auto kPauseTime = std::chrono::seconds(30);
constexpr auto kBodyTime = std::chrono::minutes(5);
constexpr uint32_t kHeaderBytes = 64 * 1024;
constexpr uint64_t kDrainBytes = 4 * kMiB;   // of a refused body that are read so that the answer gets through

using Parser = http::request_parser<http::string_body>;

void FillHead(const Parser& parser, Request& request) {
  const auto& message = parser.get();
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  request.version = message.version();
  request.keep_alive = message.keep_alive();
  for (const auto& field : message) request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, const ConnectionRules& rules) : stream_(std::move(socket)), rules_(rules) {
  ErrorCode ignored;
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
}

Task<> Connection::Run() {
  const auto self = shared_from_this();
  while (!finishing_) {
    Request request;
    if (!co_await ReadRequest(request)) break;
    Exchange exchange(stream_, std::move(request));
    exchange_ = &exchange;
    if (finishing_) exchange.CloseAfterwards();
    co_await rules_.handle(exchange);
    exchange_ = nullptr;
    if (!exchange.keep_alive()) break;
  }
  ErrorCode ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  stream_.close();
}

void Connection::Finish() {
  finishing_ = true;
  if (exchange_ != nullptr) {
    exchange_->CloseAfterwards();
  } else {
    stream_.close();
  }
}

// The client may still be sending: the answer would be lost if the connection were closed on it.
Task<> Connection::Refuse(Request request, Reply reply) {
  request.keep_alive = false;
  {
    Exchange exchange(stream_, std::move(request));
    if (!co_await exchange.Send(std::move(reply))) co_return;
  }
  ErrorCode error;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
  stream_.expires_after(kPauseTime);
  std::string rest(64 * kKiB, '\0');
  for (uint64_t read = 0; !error && read < kDrainBytes;) {
    read += co_await stream_.async_read_some(asio::buffer(rest), Into(error));
  }
}

// False when the connection is to be closed: at its end, after an error, after a refusal.
Task<bool> Connection::ReadRequest(Request& request) {
  Parser parser;
  parser.header_limit(kHeaderBytes);
  parser.body_limit(rules_.body_bytes);
  ErrorCode error;
  stream_.expires_after(kHeaderTime);
  co_await http::async_read_header(stream_, buffer_, parser, Into(error));
  const auto too_large = [&] {
    return ErrorReply(413, fmt::format("the request is larger than {}; start headrace serve with a larger --max-body",
                                       FormatSize(rules_.body_bytes)));
  };
  if (error) {
    if (error == http::error::body_limit) {
      FillHead(parser, request);
      co_await Refuse(std::move(request), too_large());
    } else if (error == http::error::header_limit) {
      co_await Refuse(std::move(request), ErrorReply(431, "the request's header is too large"));
    } else if (parser.got_some() && error.category() == http::make_error_code(http::error::bad_method).category() &&
               error != http::error::end_of_stream && error != http::error::partial_message) {
      co_await Refuse(std::move(request), ErrorReply(400, fmt::format("this is no HTTP request: {}", error.message())));
    }
    co_return false;
  }
  FillHead(parser, request);
  if (!ParseTarget(request)) {
    co_await Refuse(std::move(request), ErrorReply(400, "the request's path is malformed"));
    co_return false;
  }
  if (const auto length = parser.content_length(); length && *length > rules_.body_bytes) {
    co_await Refuse(std::move(request), too_large());
    co_return false;
  }
  if (auto reply = rules_.check(request)) {
    co_await Refuse(std::move(request), std::move(*reply));
    co_return false;
  }
  if (EqualIgnoringCase(request.Header("Expect"), "100-continue")) {
    http::response<http::empty_body> go_on(http::status::continue_, 11);
    co_await http::async_write(stream_, go_on, Into(error));
    if (error) co_return false;
  }
  const auto limit = Clock::now() + kBodyTime;
  while (!parser.is_done() && !error && Clock::now() < limit) {
    stream_.expires_after(kPauseTime);
    co_await http::async_read_some(stream_, buffer_, parser, Into(error));
  }
  if (error == http::error::body_limit) co_await Refuse(std::move(request), too_large());
  if (error || !parser.is_done()) co_return false;
  request.body = std::move(parser.get().body());
  co_return true;
}

}  // namespace headrace::serve
