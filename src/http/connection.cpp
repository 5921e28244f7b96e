#include "http/connection.h"

#include <exception>

#include <fmt/format.h>

#include "base/log.h"
#include "base/probe_when_silent.h"
#include "base/size.h"
#include "http/deadline.h"

namespace headrace::serve {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;

namespace {

constexpr auto kIdleTime = std::chrono::seconds(75);
constexpr auto kHeaderTime = std::chrono::seconds(10);
constexpr auto kPauseTime = std::chrono::seconds(30);
constexpr auto kBodyTime = std::chrono::minutes(5);
constexpr auto kRefusedTime = std::chrono::seconds(5);  // for what a refused client still sends
constexpr auto kSlow = std::chrono::seconds(2);         // a client that takes nothing for so long is waited for
constexpr uint32_t kHeaderBytes = 64 * 1024;
constexpr uint64_t kReadersBody = 64 * kKiB;  // of a GET, which needs no key for the page
constexpr uint64_t kDrainBytes = 4 * kMiB;    // of a refused body that are read so that the answer gets through
constexpr int kProbeAfter = 15, kProbes = 4;  // keep-alive: s between two, and how many without an answer

using RequestParser = http::request_parser<http::string_body>;

void FillHead(const RequestParser& parser, Request& request) {
  const auto& message = parser.get();
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  request.version = message.version();
  request.keep_alive = message.keep_alive();
  for (const auto& field : message)
    request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
}

Reply TooLarge(uint64_t limit) {
  return ErrorReply(413, fmt::format("the request is larger than {}; start headrace serve with a larger --max-body",
                                     FormatSize(limit)));
}

// The answer to what could not be read; nullopt where nobody waits for one.
std::optional<Reply> AnswerTo(const ErrorCode& error, bool late, uint64_t body_bytes) {
  if (late) return ErrorReply(408, "the request did not arrive in time");
  if (error == http::error::body_limit) return TooLarge(body_bytes);
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return ErrorReply(431, "the request's header is too large");
  if (error == http::error::bad_version) return ErrorReply(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  if (error == http::error::partial_message) return ErrorReply(400, "the request ended before it was whole");
  if (error == http::error::end_of_stream ||
      error.category() != http::make_error_code(http::error::bad_method).category())
    return std::nullopt;
  return ErrorReply(400, fmt::format("this is no HTTP request: {}", error.message()));
}

// The first line of what was not read names a version of HTTP, if one that is not spoken here.
bool NamesHttp(const beast::flat_buffer& buffer) {
  const auto bytes = buffer.cdata();
  const std::string_view text(static_cast<const char*>(bytes.data()), bytes.size());
  return text.substr(0, text.find('\n')).find(" HTTP/") != std::string_view::npos;
}

// What the parser lets through and nobody should guess about.
std::optional<Reply> CheckHeaders(const RequestParser& parser, const Request& request) {
  if (request.CountHeaders("Host") > 1) return ErrorReply(400, "there are several Host headers");
  if (request.CountHeaders("Transfer-Encoding") > 0) {
    if (!parser.chunked() || request.CountHeaders("Transfer-Encoding") > 1 ||
        !EqualIgnoringCase(request.Header("Transfer-Encoding"), "chunked")) {
      return ErrorReply(501, "the only Transfer-Encoding that is understood is chunked");
    }
    if (request.CountHeaders("Content-Length") > 0)
      return ErrorReply(400, "there are both Transfer-Encoding and Content-Length");
  }
  const std::string_view expected = request.Header("Expect");
  if (!expected.empty() && !EqualIgnoringCase(expected, "100-continue"))
    return ErrorReply(417, "only 100-continue can be expected");
  return std::nullopt;
}

}  // namespace

Connection::Connection(Tcp::socket socket, const ConnectionRules& rules)
    : stream_(std::move(socket)), rules_(rules), waiting_(Waiting{Owed::kRequest, Clock::now()}) {
  ErrorCode ignored;
  stream_.socket().set_option(Tcp::no_delay(true), ignored);
  // The client's kernel answers as long as somebody there has the connection.
  ProbeWhenSilent(stream_.socket().native_handle(), kProbeAfter, kProbes);
}

std::optional<Connection::Waiting> Connection::waiting() const {
  if (exchange_ == nullptr) return waiting_;
  const auto since = exchange_->blocked_since();
  return since && Clock::now() - *since > kSlow ? std::optional(Waiting{Owed::kReading, *since}) : std::nullopt;
}

Task<> Connection::Run() {
  const auto self = shared_from_this();
  while (!finishing_) {
    Request request;
    waiting_ = Waiting{Owed::kRequest, Clock::now()};
    const bool there = co_await WaitForRequest();
    if (!there) break;
    const bool whole = co_await ReadRequest(request);
    if (!whole) break;
    const bool more = co_await Answer(std::move(request));
    if (!more) break;
  }
  ErrorCode ignored;
  stream_.socket().shutdown(Tcp::socket::shutdown_send, ignored);
  stream_.close();
}

void Connection::NoteEnd(Exchange& exchange) const {
  exchange.record().gone = exchange.cut_short();
  if (rules_.note_end) rules_.note_end(exchange.record());
}

// True when the connection can carry another request.
Task<bool> Connection::Answer(Request request) {
  Exchange exchange(stream_, std::move(request));
  exchange_ = &exchange;
  if (rules_.note_begin) rules_.note_begin();
  if (rules_.answer_headers) exchange.AddToAnswer(rules_.answer_headers(exchange.request()));
  if (finishing_) exchange.CloseAfterwards();
  std::string broken;
  try {
    co_await rules_.handle(exchange);
  } catch (const std::exception& error) {
    broken = error.what();
  }
  if (!broken.empty()) {
    LogWarning("internal error: " + broken);
    exchange.CloseAfterwards();
    if (!exchange.begun()) co_await exchange.Send(ErrorReply(500, "internal error: " + broken));
  }
  exchange_ = nullptr;
  NoteEnd(exchange);
  co_return exchange.keep_alive();
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
  if (rules_.shape) reply = rules_.shape(request, std::move(reply));
  waiting_ = Waiting{Owed::kRequest, Clock::now()};
  {
    Exchange exchange(stream_, std::move(request));
    if (rules_.answer_headers) exchange.AddToAnswer(rules_.answer_headers(exchange.request()));
    if (rules_.note_begin) rules_.note_begin();
    const bool sent = co_await exchange.Send(std::move(reply));
    NoteEnd(exchange);
    if (!sent) co_return;
  }
  ErrorCode error;
  stream_.socket().shutdown(Tcp::socket::shutdown_send, error);
  const Deadline deadline(stream_, kRefusedTime);
  std::string rest(64 * kKiB, '\0');
  for (uint64_t read = 0; !error && !deadline.passed() && read < kDrainBytes;) {
    read += co_await stream_.async_read_some(asio::buffer(rest), Into(error));
  }
}

// False when none came.
Task<bool> Connection::WaitForRequest() {
  if (buffer_.size() > 0) co_return true;
  const Deadline deadline(stream_, kIdleTime);
  ErrorCode error;
  co_await stream_.socket().async_wait(Tcp::socket::wait_read, Into(error));
  co_return !error;
}

// False when the connection is to be closed: at its end, after an error, after a refusal.
Task<bool> Connection::ReadRequest(Request& request) {
  RequestParser parser;
  parser.header_limit(kHeaderBytes);
  parser.body_limit(rules_.body_bytes);
  ErrorCode error;
  bool late = false;
  {
    const Deadline deadline(stream_, kHeaderTime);
    co_await http::async_read_header(stream_, buffer_, parser, Into(error));
    late = deadline.passed();
  }
  if (error == http::error::bad_version && !NamesHttp(buffer_)) error = http::error::bad_method;
  if (error) {
    auto reply = AnswerTo(error, late, rules_.body_bytes);
    if (error == http::error::body_limit) {
      FillHead(parser, request);
      if (ParseTarget(request)) TakePrefix(request, rules_.prefix);
    }
    if (reply && parser.got_some()) co_await Refuse(std::move(request), std::move(*reply));
    co_return false;
  }
  FillHead(parser, request);
  const uint64_t most = request.reads() ? std::min(kReadersBody, rules_.body_bytes) : rules_.body_bytes;
  auto reply = CheckHeaders(parser, request);
  if (!reply && !ParseTarget(request)) reply = ErrorReply(400, "the request's path is malformed");
  if (!reply) reply = TakePrefix(request, rules_.prefix);
  if (!reply) reply = rules_.check(request);
  if (!reply && parser.content_length().value_or(0) > most) reply = TooLarge(most);
  if (reply) {
    co_await Refuse(std::move(request), std::move(*reply));
    co_return false;
  }
  parser.body_limit(most);
  if (request.version >= 11 && !parser.is_done() && !request.Header("Expect").empty()) {
    http::response<http::empty_body> go_on(http::status::continue_, 11);
    co_await http::async_write(stream_, go_on, Into(error));
    if (error) co_return false;
  }
  waiting_ = Waiting{Owed::kBody, Clock::now()};
  const Deadline whole(stream_, kBodyTime);
  while (!parser.is_done() && !error && !late) {
    const Deadline pause(stream_, kPauseTime);
    co_await http::async_read_some(stream_, buffer_, parser, Into(error));
    late = pause.passed() || whole.passed();
  }
  if (!parser.is_done()) {
    reply = AnswerTo(error, late, most);
    if (reply) co_await Refuse(std::move(request), std::move(*reply));
    co_return false;
  }
  request.body = std::move(parser.get().body());
  co_return true;
}

}  // namespace headrace::serve
