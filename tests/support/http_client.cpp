#include "http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <sstream>
#include <utility>

namespace headrace::serve {

HttpClient::HttpClient(uint16_t port) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{120, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) Close();
}

void HttpClient::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

void HttpClient::SendSome(const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t count = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count <= 0) return;
    sent += static_cast<size_t>(count);
  }
}

void HttpClient::CloseSending() { shutdown(fd_, SHUT_WR); }

bool HttpClient::HasNews() const {
  pollfd seen{fd_, POLLIN, 0};
  return poll(&seen, 1, 0) > 0;
}

bool HttpClient::SendRaw(const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t count = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += static_cast<size_t>(count);
  }
  return true;
}

bool HttpClient::Send(const std::string& method, const std::string& target, const std::string& body,
                      HttpHeaders headers) {
  only_head_ = method == "HEAD";
  headers.emplace("Host", "127.0.0.1");
  if (!body.empty()) headers.emplace("Content-Type", "application/json");
  if (method == "POST") headers.emplace("Content-Length", std::to_string(body.size()));
  std::string text = method + " " + target + " HTTP/1.1\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  return SendRaw(text + "\r\n" + body);
}

bool HttpClient::Fill() {
  char piece[16 * 1024];
  const ssize_t count = fd_ < 0 ? -1 : recv(fd_, piece, sizeof piece, 0);
  if (count > 0) buffer_.append(piece, static_cast<size_t>(count));
  return count > 0;
}

HttpResponse HttpClient::ReadHead() {
  HttpResponse response;
  body_.clear();
  complete_ = false;
  size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill()) return response;
  }
  std::istringstream lines(buffer_.substr(0, end));
  buffer_.erase(0, end + 4);
  std::string line;
  std::getline(lines, line);
  response.status = std::atoi(line.substr(std::min<size_t>(9, line.size())).c_str());
  while (std::getline(lines, line)) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::string name = line.substr(0, colon), value = line.substr(colon + 1);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    value.erase(0, value.find_first_not_of(' '));
    value.erase(value.find_last_not_of(" \r") + 1);
    response.headers[name] = value;
  }
  chunked_ = response.headers["transfer-encoding"] == "chunked";
  const std::string length = response.headers["content-length"];
  until_close_ = !chunked_ && length.empty();
  left_ = chunked_ || length.empty() ? 0 : std::strtoull(length.c_str(), nullptr, 10);
  complete_ = only_head_ || (!chunked_ && !until_close_ && left_ == 0);
  return response;
}

std::string HttpClient::ReadPiece() {
  while (!complete_) {
    if (chunked_ && left_ == 0) {
      const size_t end = buffer_.find("\r\n");
      if (end == std::string::npos) {
        if (!Fill()) return "";
        continue;
      }
      left_ = std::strtoull(buffer_.c_str(), nullptr, 16);
      if (left_ == 0) {
        while (buffer_.size() < end + 4) {
          if (!Fill()) return "";
        }
        buffer_.erase(0, end + 4);  // the next answer may be there
        complete_ = true;
        return "";
      }
      buffer_.erase(0, end + 2);
      left_ += 2;  // the line break behind the chunk
    }
    if (buffer_.empty() && !Fill()) {
      complete_ = until_close_;
      return "";
    }
    const size_t count = until_close_ ? buffer_.size() : std::min<uint64_t>(left_, buffer_.size());
    std::string piece = buffer_.substr(0, count);
    buffer_.erase(0, count);
    if (!until_close_) left_ -= count;
    if (chunked_ && left_ < 2) piece.resize(piece.size() - std::min<size_t>(piece.size(), 2 - left_));
    if (!chunked_ && !until_close_ && left_ == 0) complete_ = true;
    if (piece.empty()) continue;
    body_ += piece;
    return piece;
  }
  return "";
}

bool HttpClient::ReadUntil(const std::string& text) {
  while (body_.find(text) == std::string::npos) {
    if (ReadPiece().empty()) return false;
  }
  return true;
}

HttpResponse HttpClient::Read() {
  HttpResponse response = ReadHead();
  while (response.status != 0 && !ReadPiece().empty()) {
  }
  response.body = body_;
  return response;
}

}  // namespace headrace::serve
