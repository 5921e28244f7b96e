#include "http/exchange.h"

#include <poll.h>

#include "http/peer.h"

namespace headrace::serve {

namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {
constexpr auto kWriteTime = std::chrono::seconds(60);
constexpr Millis kLook{250};  // between two looks at a client that sent something more, or its end
}  // namespace

Exchange::Exchange(beast::tcp_stream& stream, Request request)
    : stream_(stream),
      request_(std::move(request)),
      watch_(std::make_shared<Watch>(stream.get_executor())),
      keep_alive_(request_.keep_alive) {
  stream_.expires_never();
  ErrorCode left;
  const auto remote = stream_.socket().remote_endpoint(left);
  if (!left) record_.remote = remote.address().to_string();
  record_.method = request_.method;
  record_.target = request_.target;
  record_.path = request_.path;
  StartWatch();
}

Exchange::~Exchange() {
  watch_->ended = true;
  watch_->action = {};
  watch_->next_look.cancel();
  ErrorCode ignored;
  stream_.socket().cancel(ignored);
}

// Nothing is readable before the client sends something more, ends its sending half, or breaks the connection.
void Exchange::StartWatch() {
  stream_.socket().async_wait(asio::ip::tcp::socket::wait_read, [this, watch = watch_](ErrorCode error) {
    if (!error && !watch->ended) Look();
  });
}

void Exchange::Look() {
  pollfd seen{stream_.socket().native_handle(), POLLRDHUP, 0};
  ::poll(&seen, 1, 0);
  const bool broken = (seen.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
  if (broken || ((seen.revents & POLLRDHUP) != 0 && LookAtPeer(seen.fd) == PeerState::kClosed)) {
    NoteGone();
    return;
  }
  watch_->next_look.expires_after(kLook);
  watch_->next_look.async_wait([this, watch = watch_](ErrorCode error) {
    if (!error && !watch->ended && !watch->gone) Look();
  });
}

void Exchange::NoteGone() {
  watch_->gone = true;
  if (const auto action = std::exchange(watch_->action, {})) action();
}

void Exchange::OnGone(std::function<void()> action) {
  watch_->action = std::move(action);
  if (watch_->gone && watch_->action) NoteGone();
}

void Exchange::Abort() {
  record_.broken = true;
  keep_alive_ = false;
  stream_.close();
}

Task<bool> Exchange::Send(Reply reply) {
  AnswerHead head;
  head.status = reply.status;
  head.headers = std::move(reply.headers);
  if (!reply.content_type.empty()) head.headers.emplace_back("Content-Type", reply.content_type);
  head.content_length = reply.body.size();
  if (!co_await Begin(std::move(head))) co_return false;
  if (request_.method != "HEAD" && !co_await Write(reply.body)) co_return false;
  co_return co_await End();
}

bool Exchange::Wrote(ErrorCode error, ErrorCode usual) {
  stream_.expires_never();
  blocked_since_.reset();
  if (error == usual) return true;
  if (error) NoteGone();
  return !error;
}

Task<bool> Exchange::Begin(AnswerHead head) {
  if (gone()) co_return false;
  begun_ = true;
  record_.status = head.status;
  response_.emplace(static_cast<http::status>(head.status), request_.version);
  for (const auto& [name, value] : head.headers) response_->insert(name, value);
  for (const auto& [name, value] : added_) response_->insert(name, value);
  if (head.content_length) {
    response_->content_length(*head.content_length);
  } else if (request_.version < 11) {
    keep_alive_ = false;  // the end of the connection is the end of the answer
  } else {
    response_->chunked(true);
  }
  response_->keep_alive(keep_alive_);
  response_->body().data = nullptr;
  response_->body().more = true;
  serializer_.emplace(*response_);
  stream_.expires_after(kWriteTime);
  blocked_since_ = Clock::now();
  ErrorCode error;
  co_await http::async_write_header(stream_, *serializer_, Into(error));
  record_.first_byte = Clock::now();
  co_return Wrote(error, {});
}

Task<bool> Exchange::Write(std::string_view piece) {
  if (gone()) co_return false;
  if (piece.empty() || request_.method == "HEAD") co_return true;
  response_->body().data = const_cast<char*>(piece.data());
  response_->body().size = piece.size();
  response_->body().more = true;
  stream_.expires_after(kWriteTime);
  blocked_since_ = Clock::now();
  ErrorCode error;
  co_await http::async_write(stream_, *serializer_, Into(error));
  const bool wrote = Wrote(error, http::error::need_buffer);
  if (wrote) record_.bytes += piece.size();
  const auto length = response_->find(http::field::content_length);
  if (length != response_->end() && length->value() == std::to_string(record_.bytes)) written_ = true;
  co_return wrote;
}

Task<bool> Exchange::End() {
  written_ = true;
  if (gone()) co_return false;
  if (request_.method == "HEAD") co_return true;
  response_->body().data = nullptr;
  response_->body().size = 0;
  response_->body().more = false;
  stream_.expires_after(kWriteTime);
  blocked_since_ = Clock::now();
  ErrorCode error;
  co_await http::async_write(stream_, *serializer_, Into(error));
  co_return Wrote(error, http::error::end_of_stream);
}

}  // namespace headrace::serve
