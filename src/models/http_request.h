// One HTTP request over libcurl. It follows redirects itself, so that a token is only ever sent to the host that it is
// for.
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace headrace {

// Who may be told the token.
struct HttpAccess {
  std::string token;   // "" for none
  std::string origin;  // of OriginOf
  std::string agent;   // what the program calls itself
};

// "https://host:port" of a URL, "" for one that is no http or https URL, or has a user's name in it.
std::string OriginOf(const std::string& url);

struct HttpRange {
  uint64_t begin = 0, end = 0;  // the end is not in it
};

struct HttpWish {
  std::string url;
  bool head = false;  // only what the headers say
  std::optional<HttpRange> range;
  std::function<bool(std::string_view)>
      on_body;  // of an answer 200 or 206; false breaks it off. None: the body is kept, at most kLargestBody
};

inline constexpr size_t kLargestBody = 64 << 20;

// The names of headers are in small letters.
using HttpHeaders = std::map<std::string, std::string>;

class HttpRequest {
 public:
  // `access` outlives it.
  HttpRequest(HttpWish wish, const HttpAccess& access);
  ~HttpRequest();
  HttpRequest(const HttpRequest&) = delete;
  HttpRequest& operator=(const HttpRequest&) = delete;

  // To its end, with redirects; `go_on` is asked several times a second. Errors: kIo when there is no whole answer (an
  // answer of any status is one), kCancelled.
  Status Perform(const std::function<bool()>& go_on);

  // For those who drive several at a time: to be performed; then Ended with how that ended. True: perform it once more.
  CURL* handle() const { return easy_.get(); }
  bool Ended(CURLcode code);
  // Of the end. Errors: kIo.
  Status status() const { return status_; }

  long code() const { return code_; }                      // of the last answer, 0 before it
  const std::string& url() const { return url_; }          // of the last answer
  const std::string& body() const { return body_; }        // of a refusal its beginning
  std::string Header(const std::string& name) const;       // of the last answer
  std::string FirstHeader(const std::string& name) const;  // of the answer of wish.url itself, which may redirect

 private:
  void Prepare();
  static size_t OnHeader(char* data, size_t size, size_t count, void* self);
  static size_t OnBody(char* data, size_t size, size_t count, void* self);

  HttpWish wish_;
  const HttpAccess& access_;
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy_;
  curl_slist* lines_ = nullptr;
  std::string url_, body_;
  HttpHeaders headers_, first_;
  long code_ = 0;
  int redirects_ = 0;
  bool refused_ = false;  // by on_body
  Status status_;
};

}  // namespace headrace
