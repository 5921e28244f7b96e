#include "serve/api/relay.h"

#include <algorithm>
#include <array>
#include <limits>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <fmt/format.h>

#include "base/size.h"
#include "llama_server/child_output.h"
#include "serve/api/answered_tokens.h"
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

// An answer that is short, to its end.
Task<std::string> ReadWhole(Socket& socket, beast::flat_buffer& buffer, AnswerParser& parser) {
  std::string whole, piece(64 * kKiB, '\0');
  ErrorCode error;
  while (!parser.is_done() && (!error || error == http::error::need_buffer)) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    co_await http::async_read_some(socket, buffer, parser, Into(error));
    whole.append(piece, 0, piece.size() - parser.get().body().size);
  }
  co_return whole;
}

Task<ErrorCode> ReadHead(Socket& socket, beast::flat_buffer& buffer, AnswerParser& parser) {
  ErrorCode error;
  co_await http::async_read_header(socket, buffer, parser, Into(error));
  co_return error;
}

Task<ErrorCode> ReadPiece(Socket& socket, beast::flat_buffer& buffer, AnswerParser& parser) {
  ErrorCode error;
  co_await http::async_read_some(socket, buffer, parser, Into(error));
  co_return error;
}

// llama-server calls an input that no pass can take its own fault (500), and does not say what would help.
Reply PlainFailure(std::string body, const Model& model) {
  const std::string message = ErrorIn(JsonOrNull(body));
  const bool too_long = message.find("too large to process") != std::string::npos ||
                        message.find("larger than the max context") != std::string::npos;
  if (!too_long) {
    Reply reply;
    reply.status = 500;
    reply.body = std::move(body);
    return reply;
  }
  const bool whole = model.input_tokens() >= model.request_tokens();
  return ErrorReply(400, fmt::format("an input is too long: {} takes at most {} tokens in each; split it, or load the "
                                     "model with {}",
                                     model.id(), model.input_tokens(),
                                     whole ? "a larger context_length" : "more memory: longer ones want wider passes"));
}

// True when the whole answer went through, or the client is gone; false when the child broke off.
Task<bool> Transfer(Exchange& exchange, Socket& socket, const Model& model, AnswerForm& form, Waiting& waiting) {
  ErrorCode error;
  auto request = MakeRequest(exchange.request());
  co_await http::async_write(socket, request, Into(error));
  if (error) co_return exchange.gone();
  beast::flat_buffer buffer;
  AnswerParser parser;
  parser.body_limit(std::numeric_limits<uint64_t>::max());  // "none" refuses every length in Boost 1.74
  parser.skip(exchange.request().method == "HEAD");
  error = co_await waiting.During(ReadHead(socket, buffer, parser));
  if (error) co_return exchange.gone();
  AnswerHead head = MakeHead(parser);
  if (exchange.begun() && head.status != 200) {
    Reply refusal;
    refusal.status = head.status;
    refusal.body = co_await ReadWhole(socket, buffer, parser);
    co_await waiting.Refuse(std::move(refusal));
    co_return true;
  }
  if (head.status == 500 && model.input_tokens() > 0) {
    std::string body = co_await ReadWhole(socket, buffer, parser);
    Reply refusal = PlainFailure(std::move(body), model);
    co_await waiting.Refuse(std::move(refusal));
    co_return true;
  }
  const bool is_stream = IsEventStream(head);
  form.Begin(head);
  waiting.NoteAnswer();
  // A proxy must not hold events back until there are many.
  if (IsEventStream(head)) head.headers.emplace_back("X-Accel-Buffering", "no");
  if (!exchange.begun() && !co_await exchange.Begin(std::move(head))) co_return true;
  AnsweredTokens tokens;
  std::string piece(64 * kKiB, '\0');
  while (!parser.is_done()) {
    auto& body = parser.get().body();
    body.data = piece.data();
    body.size = piece.size();
    // The head can come long before the prompt is read, and a token can take its time.
    if (is_stream) {
      error = co_await waiting.During(ReadPiece(socket, buffer, parser));
    } else {
      error = co_await ReadPiece(socket, buffer, parser);
    }
    const std::string_view read(piece.data(), piece.size() - body.size);
    tokens.Feed(read);
    exchange.record().tokens_in = tokens.in();
    exchange.record().tokens_out = tokens.out();
    const std::string formed = form.Feed(read);
    if (!co_await exchange.Write(formed)) co_return true;
    waiting.NoteWritten(formed);
    if (error && error != http::error::need_buffer) co_return exchange.gone();
  }
  const std::string last = form.Finish();
  if (!co_await exchange.Write(last)) co_return true;
  co_await exchange.End();
  co_return true;
}

constexpr const char* kTooLong =
    "the prompt has {} tokens, and {} has room for {} of prompt and answer together; load it with a larger "
    "context_length";

struct Room {
  Status status;  // why there is none
  std::optional<Admission::Place> place;
};

// Gives the request a limit where it needs one.
Task<Room> WaitForRoom(Exchange& exchange, Model& model, uint64_t fingerprint, Waiter& waiter) {
  Request& request = exchange.request();
  Room room;
  TokenNeed tokens;
  if (model.admission().limited()) {
    const auto limit = model.AnswerLimit();
    const auto standard = limit ? limit : model.default_tokens;
    if (limit) request.body = WithAnswerLimit(request.path, std::move(request.body), *limit);
    tokens = co_await NeededTokens(model.socket_path(), request.path, request.body, model.request_tokens(), standard);
    if (tokens.prompt_tokens && *tokens.prompt_tokens >= model.request_tokens()) {
      room.status = Status(Code::kInvalidArgument,
                           fmt::format(kTooLong, *tokens.prompt_tokens, model.id(), model.request_tokens()));
      co_return room;
    }
  } else if (Generates(request.path)) {
    tokens.slots = 1;
  }
  Need need{tokens.tokens, tokens.slots};
  need.alone = model.culprits().Suspected(fingerprint, Clock::now());
  exchange.OnGone([&model] { model.admission().Wake(); });
  const auto given_up = [&] {
    room.status = waiter.Wait();
    if (!model.broken_off().empty()) room.status = Status(Code::kCancelled, model.broken_off());
    return model.stopped() || !room.status.ok();
  };
  auto place = co_await model.admission().Enter(need, given_up);
  if (place) room.place.emplace(std::move(*place));
  waiter.Stop();
  exchange.OnGone({});
  if (!room.place && room.status.ok())
    room.status = Status(Code::kCancelled, fmt::format("{} was unloaded", model.id()));
  co_return room;
}

}  // namespace

Task<> Relay(Exchange& exchange, Model& model, AnswerForm& form, Waiting& waiting) {
  if (const Status refused = CheckRequest(exchange.request(), model); !refused.ok()) {
    co_await waiting.Refuse(ErrorReply(refused));
    co_return;
  }
  if (exchange.request().path == "/lora-adapters" && exchange.request().method == "POST") model.NoteOtherAdapters();
  const uint64_t fingerprint = FingerprintOf(exchange.request(), model.plan());
  const Room room = co_await waiting.During(WaitForRoom(exchange, model, fingerprint, waiting.waiter()));
  if (exchange.gone()) co_return;
  if (!room.place) {
    co_await waiting.Refuse(ErrorReply(room.status));
    co_return;
  }
  Socket socket(co_await asio::this_coro::executor);
  const auto close = [&socket] {
    ErrorCode ignored;
    socket.close(ignored);
  };
  const Model::Computing computing(model, fingerprint, close);
  ErrorCode error;
  exchange.OnGone(close);
  bool whole = false;
  co_await socket.async_connect(asio::local::stream_protocol::endpoint(model.socket_path()), Into(error));
  exchange.record().computed_from = Clock::now();
  if (!error) whole = co_await Transfer(exchange, socket, model, form, waiting);
  exchange.OnGone({});
  if (whole || exchange.gone()) co_return;
  const std::string why = co_await model.DescribeFailure();
  const int status = model.broken_off().empty() ? 502 : 503;
  const auto end = exchange.begun() ? form.Broken(why) : std::nullopt;
  if (!exchange.begun() || waiting.only_told()) {
    co_await waiting.Refuse(ErrorReply(status, why));
  } else if (end && co_await exchange.Write(*end)) {
    co_await exchange.End();
  } else {
    exchange.Abort();
  }
}

}  // namespace headrace::serve
