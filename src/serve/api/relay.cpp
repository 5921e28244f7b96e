#include "serve/api/relay.h"

#include <algorithm>
#include <array>
#include <limits>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "base/size.h"
#include "serve/api/request_check.h"
#include "serve/api/token_need.h"

namespace headrace::serve {

namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

using Socket = asio::local::stream_protocol::socket;

template <size_t N>
bool IsOneOf(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view known) { return EqualIgnoringCase(name, known); });
}

// About one connection only, or set anew.
constexpr std::array<std::string_view, 10> kPerConnection = {
    "Connection",        "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer",
    "Transfer-Encoding", "Upgrade",    "Content-Length"};
// Ours to check; a child need not see keys, and allows every origin that it sees.
constexpr std::array<std::string_view, 6> kForUs = {"Host", "Authorization", "X-Api-Key", "Origin", "Cookie", "Expect"};

bool IsCors(std::string_view name) {
  constexpr std::string_view kPrefix = "Access-Control-";
  return name.size() > kPrefix.size() && EqualIgnoringCase(name.substr(0, kPrefix.size()), kPrefix);
}

http::request<http::string_body> MakeRequest(Request& request) {
  http::request<http::string_body> out;
  out.version(11);
  out.method_string(request.method);
  out.target(request.target);
  for (const auto& [name, value] : request.headers) {
    if (!IsOneOf(name, kPerConnection) && !IsOneOf(name, kForUs)) out.insert(name, value);
  }
  out.set(http::field::host, "localhost");
  out.keep_alive(false);
  out.body() = std::move(request.body);
  out.prepare_payload();
  return out;
}

using AnswerParser = http::response_parser<http::buffer_body>;

AnswerHead MakeHead(AnswerParser& parser) {
  AnswerHead head;
  head.status = static_cast<int>(parser.get().result_int());
  for (const auto& field : parser.get()) {
    const std::string_view name(field.name_string().data(), field.name_string().size());
    if (IsOneOf(name, kPerConnection) || IsCors(name)) continue;
    head.headers.emplace_back(std::string(name), std::string(field.value()));
  }
  if (const auto length = parser.content_length()) head.content_length = *length;
  return head;
}

// True when the whole answer went through, or the client is gone; false when the child broke off.
Task<bool> Transfer(Exchange& exchange, Socket& socket, AnswerForm& form) {
  ErrorCode error;
  auto request = MakeRequest(exchange.request());
  co_await http::async_write(socket, request, Into(error));
  if (error) co_return exchange.gone();
  beast::flat_buffer buffer;
  AnswerParser parser;
  parser.body_limit(std::numeric_limits<uint64_t>::max());  // "none" refuses every length in Boost 1.74
  parser.skip(exchange.request().method == "HEAD");
  co_await http::async_read_header(socket, buffer, parser, Into(error));
  if (error) co_return exchange.gone();
  AnswerHead head = MakeHead(parser);
  form.Begin(head);
  if (!co_await exchange.Begin(std::move(head))) co_return true;
  std::string piece(64 * kKiB, '\0');
  while (!parser.is_done()) {
    auto& body = parser.get().body();
    body.data = piece.data();
    body.size = piece.size();
    co_await http::async_read_some(socket, buffer, parser, Into(error));
    const std::string_view read(piece.data(), piece.size() - body.size);
    const std::string formed = form.Feed(read);
    if (!co_await exchange.Write(formed)) co_return true;
    if (error && error != http::error::need_buffer) co_return exchange.gone();
  }
  const std::string last = form.Finish();
  if (!co_await exchange.Write(last)) co_return true;
  co_await exchange.End();
  co_return true;
}

Task<Admission::Place> WaitForRoom(Exchange& exchange, Model& model, uint64_t fingerprint) {
  uint64_t tokens = 0;
  if (model.admission().limited()) {
    const Request& request = exchange.request();
    tokens = co_await NeededTokens(model.socket_path(), request.path, request.body,
                                   model.context > 0 ? model.context : model.plan().context, model.default_tokens);
  }
  exchange.OnGone([&model] { model.admission().Wake(); });
  auto place = co_await model.admission().Enter(
      tokens, [&] { return exchange.gone() || model.stopped(); },
      model.culprits().Suspected(fingerprint, Clock::now()));
  exchange.OnGone({});
  co_return place;
}

}  // namespace

Task<> Relay(Exchange& exchange, Model& model, AnswerForm& form) {
  if (const Status refused = CheckRequest(exchange.request(), model); !refused.ok()) {
    co_await exchange.Send(form.Refusal(ErrorReply(refused)));
    co_return;
  }
  if (exchange.request().path == "/lora-adapters" && exchange.request().method == "POST") model.NoteOtherAdapters();
  const uint64_t fingerprint = FingerprintOf(exchange.request(), model.plan());
  const Admission::Place place = co_await WaitForRoom(exchange, model, fingerprint);
  if (exchange.gone()) co_return;
  const Model::Computing computing(model, fingerprint);
  Socket socket(co_await asio::this_coro::executor);
  ErrorCode error;
  exchange.OnGone([&socket] {
    ErrorCode ignored;
    socket.close(ignored);
  });
  bool whole = false;
  co_await socket.async_connect(asio::local::stream_protocol::endpoint(model.socket_path()), Into(error));
  if (!error) whole = co_await Transfer(exchange, socket, form);
  exchange.OnGone({});
  if (whole || exchange.gone()) co_return;
  const std::string why = co_await model.DescribeFailure();
  if (!exchange.begun()) {
    co_await exchange.Send(form.Refusal(ErrorReply(502, why)));
    co_return;
  }
  const auto end = form.Broken(why);
  if (end && co_await exchange.Write(*end)) {
    co_await exchange.End();
  } else {
    exchange.Abort();
  }
}

}  // namespace headrace::serve
