// A client that shows what really comes over the wire, and when; malformed requests too.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace headrace::serve {

struct HttpResponse {
  int status = 0;                              // 0: no answer
  std::map<std::string, std::string> headers;  // names in small letters
  std::string body;
};

using HttpHeaders = std::map<std::string, std::string>;

// One connection to 127.0.0.1. Waits at most two minutes for anything.
class HttpClient {
 public:
  explicit HttpClient(uint16_t port);
  ~HttpClient() { Close(); }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  bool connected() const { return fd_ >= 0; }
  void Close();

  bool SendRaw(const std::string& bytes);
  // As much as the sockets take at once.
  void SendSome(const std::string& bytes);
  // No more will be sent; what the server sends is still read.
  void CloseSending();
  // With Host and Content-Length unless `headers` sets them.
  bool Send(const std::string& method, const std::string& target, const std::string& body = "",
            HttpHeaders headers = {});

  // True when the server has closed the connection, or has sent something that nobody read yet.
  bool HasNews() const;

  // The answer's head; its body is then read piece by piece.
  HttpResponse ReadHead();
  // Decoded bytes as soon as there are any; "" at the end of the answer, or when it broke off.
  std::string ReadPiece();
  // Reads pieces until `text` is among them; false at the end.
  bool ReadUntil(const std::string& text);
  // Everything that came of the body so far.
  const std::string& body() const { return body_; }
  // The answer ended as it should.
  bool complete() const { return complete_; }
  HttpResponse Read();

 private:
  bool Fill();

  int fd_ = -1;
  std::string buffer_;  // not yet decoded
  std::string body_;
  bool only_head_ = false;  // an answer to HEAD has no body
  bool chunked_ = false;
  bool until_close_ = false;
  uint64_t left_ = 0;  // of the body, or of the chunk
  bool complete_ = false;
};

}  // namespace headrace::serve
