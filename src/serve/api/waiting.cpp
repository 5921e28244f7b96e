#include "serve/api/waiting.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/log.h"
#include "http/events.h"
#include "llama_server/child_output.h"
#include "serve/api/token_need.h"

namespace headrace::serve {
namespace {

constexpr Millis kHeadAfter{1000};
constexpr Millis kSignEvery{5000};
constexpr double kLongestRetry = 3600;

const char* NewsName(WaitNews::For what) {
  switch (what) {
    case WaitNews::For::kLoad:
      return "load";
    case WaitNews::For::kTurn:
      return "turn";
    case WaitNews::For::kFirstToken:
      break;
  }
  return "first_token";
}

std::string NewsText(const WaitNews& news) {
  std::string text;
  switch (news.what) {
    case WaitNews::For::kLoad:
      text = "waiting for the model to be loaded";
      break;
    case WaitNews::For::kTurn:
      text = "waiting for its turn";
      break;
    case WaitNews::For::kFirstToken:
      text = "the prompt is read";
      break;
  }
  if (news.place > 0) text += fmt::format(", number {} in line", news.place);
  if (news.expected_s) text += fmt::format(", about {} s more", std::ceil(*news.expected_s));
  if (!news.detail.empty()) text += "; " + news.detail;
  return text;
}

AnswerHead LinesHead() {
  AnswerHead head;
  head.headers = {{"Content-Type", "application/x-ndjson"}, {"X-Accel-Buffering", "no"}};
  return head;
}

}  // namespace

StreamWish WishOf(std::string_view path, const std::string& body) {
  StreamWish wish;
  wish.shape = ShapeOf(path);
  // A body can hold images of many megabytes.
  if (!Generates(path) || body.find("\"stream\"") == std::string::npos) return wish;
  const auto json = ParseJson(body, 1);
  if (!json.ok()) return wish;
  wish.stream = IsTrue(*json, "stream");
  wish.events = wish.shape == ApiShape::kOpenAi && IsTrue(*json, "return_progress");
  return wish;
}

std::string SignOfLife(const StreamWish& wish, const WaitNews& news) {
  // A blank before a line is part of no value, and the only thing that every client of Ollama's reads over.
  if (wish.shape == ApiShape::kOllama) return " ";
  std::string text = NewsText(news);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  text = fmt::format(": {}\n\n", text);
  if (!wish.events) return text;
  Json event;
  event["choices"] = Json::array();
  Json& waiting = event["waiting"];
  waiting["for"] = NewsName(news.what);
  waiting["place"] = news.place > 0 ? Json(news.place) : Json();
  waiting["expected_s"] = news.expected_s ? Json(*news.expected_s) : Json();
  waiting["detail"] = news.detail.empty() ? Json() : Json(news.detail);
  return text + fmt::format("data: {}\n\n", Dump(event));
}

std::string SignOfWork(ApiShape shape) { return shape == ApiShape::kOllama ? " " : ": the next token is computed\n\n"; }

Waiting::Waiting(Exchange& exchange, WaitingLine& line, std::string model, StreamWish wish,
                 std::function<WaitNews(const Waiter&)> news)
    : exchange_(exchange),
      wish_(wish),
      news_(std::move(news)),
      waiter_(line, std::move(model), [&exchange] { return exchange.gone(); }) {
  exchange.record().model = waiter_.model();
}

void Waiting::NoteWritten(std::string_view text) {
  if (text.empty()) return;
  has_events_ = true;
  last_ = Clock::now();
  between_events_ = text.ends_with(wish_.shape == ApiShape::kOllama ? "\n" : "\n\n");
}

void Waiting::Begin() {
  over_ = false;
  telling_ = true;
  if (!changed_) changed_.emplace(exchange_.executor());
  Spawn(exchange_.executor(), Tell());
}

Task<> Waiting::End() {
  over_ = true;
  changed_->NotifyAll();
  while (telling_) co_await changed_->Wait();
}

Task<bool> Waiting::TellOnce() {
  if (!exchange_.begun()) {
    told_ = true;
    bool begun = false;
    if (wish_.shape == ApiShape::kOllama) {
      begun = co_await exchange_.Begin(LinesHead());
    } else {
      begun = co_await BeginEvents(exchange_);
    }
    if (!begun) co_return false;
  }
  last_ = Clock::now();
  const std::string text = has_events_ ? SignOfWork(wish_.shape) : SignOfLife(wish_, news_(waiter_));
  co_return co_await exchange_.Write(text);
}

Task<> Waiting::Tell() {
  auto next = std::max(Clock::now(), begin_ + kHeadAfter);
  if (exchange_.begun()) next = last_ + kSignEvery;
  try {
    while (!over_ && !exchange_.gone()) {
      if (Clock::now() < next) {
        co_await changed_->WaitFor(std::chrono::ceil<Millis>(next - Clock::now()));
        continue;
      }
      if (!co_await TellOnce()) break;
      next = last_ + kSignEvery;
    }
  } catch (const std::exception& error) {
    LogWarning(std::string("internal error: ") + error.what());
  }
  telling_ = false;
  changed_->NotifyAll();
}

Reply Waiting::Busy(const Reply& error) const {
  Reply busy = ErrorReply(429, ErrorIn(JsonOrNull(error.body)));
  // Where nobody knows, as long again as the first has waited so far.
  const double seconds =
      news_(waiter_).expected_s.value_or(std::chrono::duration<double>(waiter_.FirstWaits()).count());
  busy.headers.emplace_back("Retry-After", fmt::format("{:.0f}", std::ceil(std::clamp(seconds, 1.0, kLongestRetry))));
  return busy;
}

Task<> Waiting::Refuse(Reply error) {
  if (waiter_.refused() != Waiter::Refused::kNo) error = Busy(error);
  if (!exchange_.begun()) {
    Reply reply = ErrorInShape(wish_.shape, std::move(error));
    co_await exchange_.Send(std::move(reply));
    co_return;
  }
  const std::string text = ErrorInStream(wish_.shape, error);
  if (co_await exchange_.Write(text)) co_await exchange_.End();
}

}  // namespace headrace::serve
