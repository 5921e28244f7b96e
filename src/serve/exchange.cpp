#include "serve/exchange.h"

#include <sys/socket.h>

#include <cerrno>

namespace headrace::serve {

namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {
constexpr auto kWriteTime = std::chrono::seconds(60);
}  // namespace

Exchange::Exchange(beast::tcp_stream& stream, Request request)
    : stream_(stream), request_(std::move(request)), watch_(std::make_shared<Watch>()), keep_alive_(request_.keep_alive) {
  stream_.expires_never();
  StartWatch();
}

Exchange::~Exchange() {
  watch_->ended = true;
  watch_->action = {};
  ErrorCode ignored;
  stream_.socket().cancel(ignored);
}

// A socket that is readable although no further request is due has been closed by the other side, or holds the next
// request already: then nothing more can be learned from it.
void Exchange::StartWatch() {
  stream_.socket().async_wait(asio::ip::tcp::socket::wait_read, [this, watch = watch_](ErrorCode error) {
    if (error || watch->ended) return;
    char byte;
    const ssize_t count = ::recv(stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) NoteGone();
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
  keep_alive_ = false;
  stream_.close();
}

Task<bool> Exchange::Send(Reply reply) {
  AnswerHead head;
  head.status = reply.status;
  head.headers = std::move(reply.headers);
  head.headers.emplace_back("Content-Type", reply.content_type);
  head.content_length = reply.body.size();
  if (!co_await Begin(std::move(head))) co_return false;
  if (request_.method != "HEAD" && !co_await Write(reply.body)) co_return false;
  co_return co_await End();
}

Task<bool> Exchange::Begin(AnswerHead head) {
  if (gone()) co_return false;
  begun_ = true;
  response_.emplace(static_cast<http::status>(head.status), request_.version);
  for (const auto& [name, value] : head.headers) response_->insert(name, value);
  if (head.content_length) {
    response_->content_length(*head.content_length);
  } else if (request_.version < 11) {
    keep_alive_ = false;   // the end of the connection is the end of the answer
  } else {
    response_->chunked(true);
  }
  response_->keep_alive(keep_alive_);
  response_->body().data = nullptr;
  response_->body().more = true;
  serializer_.emplace(*response_);
  stream_.expires_after(kWriteTime);
  ErrorCode error;
  co_await http::async_write_header(stream_, *serializer_, Into(error));
  stream_.expires_never();
  if (error) NoteGone();
  co_return !error;
}

Task<bool> Exchange::Write(std::string_view piece) {
  if (gone()) co_return false;
  if (piece.empty() || request_.method == "HEAD") co_return true;
  response_->body().data = const_cast<char*>(piece.data());
  response_->body().size = piece.size();
  response_->body().more = true;
  stream_.expires_after(kWriteTime);
  ErrorCode error;
  co_await http::async_write(stream_, *serializer_, Into(error));
  stream_.expires_never();
  if (error == http::error::need_buffer) error = {};
  if (error) NoteGone();
  co_return !error;
}

Task<bool> Exchange::End() {
  if (gone()) co_return false;
  if (request_.method == "HEAD") co_return true;
  response_->body().data = nullptr;
  response_->body().size = 0;
  response_->body().more = false;
  stream_.expires_after(kWriteTime);
  ErrorCode error;
  co_await http::async_write(stream_, *serializer_, Into(error));
  stream_.expires_never();
  if (error == http::error::end_of_stream) error = {};
  if (error) NoteGone();
  co_return !error;
}

}  // namespace headrace::serve
