#include "models/http_request.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/letters.h"

namespace headrace {
namespace {

constexpr int kMostRedirects = 10;
constexpr long kConnectSeconds = 30;
constexpr long kStallSeconds = 30, kStallBytes = 64;  // slower than so many bytes a second for so long: it is broken
constexpr size_t kKeptOfRefusal = 4096, kMostHeaders = 256;
constexpr const char* kProtocols = "http,https";

// Once for the process, before any thread.
struct Curl {
  Curl() { curl_global_init(CURL_GLOBAL_DEFAULT); }
  ~Curl() { curl_global_cleanup(); }
};

std::string PartOf(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string copy(text);
  curl_free(text);
  return copy;
}

bool IsRedirect(long code) { return code == 301 || code == 302 || code == 303 || code == 307 || code == 308; }

}  // namespace

std::string OriginOf(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parts(curl_url(), curl_url_cleanup);
  if (parts == nullptr || curl_url_set(parts.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return "";
  const std::string scheme = Lowered(PartOf(parts.get(), CURLUPART_SCHEME)),
                    host = Lowered(PartOf(parts.get(), CURLUPART_HOST));
  if ((scheme != "http" && scheme != "https") || host.empty() || !PartOf(parts.get(), CURLUPART_USER).empty())
    return "";
  return fmt::format("{}://{}:{}", scheme, host, PartOf(parts.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT));
}

HttpRequest::HttpRequest(HttpWish wish, const HttpAccess& access)
    : wish_(std::move(wish)), access_(access), easy_(nullptr, curl_easy_cleanup), url_(wish_.url) {
  static const Curl curl;
  easy_.reset(curl_easy_init());
  Prepare();
}

HttpRequest::~HttpRequest() { curl_slist_free_all(lines_); }

void HttpRequest::Prepare() {
  CURL* easy = easy_.get();
  if (easy == nullptr) return;
  curl_easy_reset(easy);
  curl_slist_free_all(lines_);
  lines_ = nullptr;
  if (!access_.token.empty() && OriginOf(url_) == access_.origin)
    lines_ = curl_slist_append(lines_, ("Authorization: Bearer " + access_.token).c_str());
  curl_easy_setopt(easy, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, kProtocols);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, lines_);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, access_.agent.c_str());
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, kStallSeconds);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, kStallBytes);
  if (wish_.head) curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  if (wish_.range)
    curl_easy_setopt(easy, CURLOPT_RANGE, fmt::format("{}-{}", wish_.range->begin, wish_.range->end - 1).c_str());
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &HttpRequest::OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &HttpRequest::OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
}

size_t HttpRequest::OnHeader(char* data, size_t size, size_t count, void* self) {
  auto& request = *static_cast<HttpRequest*>(self);
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) {
    request.headers_.clear();
    request.code_ = 0;
    return line.size();
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || request.headers_.size() >= kMostHeaders) return line.size();
  std::string_view value = line.substr(colon + 1);
  const size_t begin = value.find_first_not_of(" \t\r\n"), end = value.find_last_not_of(" \t\r\n");
  value = begin == std::string_view::npos ? "" : value.substr(begin, end - begin + 1);
  request.headers_[Lowered(std::string(line.substr(0, colon)))] = std::string(value);
  return line.size();
}

size_t HttpRequest::OnBody(char* data, size_t size, size_t count, void* self) {
  auto& request = *static_cast<HttpRequest*>(self);
  const std::string_view text(data, size * count);
  curl_easy_getinfo(request.handle(), CURLINFO_RESPONSE_CODE, &request.code_);
  const bool wanted = request.code_ == 200 || request.code_ == 206;
  if (wanted && request.wish_.on_body) {
    request.refused_ = !request.wish_.on_body(text);
    return request.refused_ ? 0 : text.size();
  }
  if (!wanted) {
    request.body_.append(text.substr(0, kKeptOfRefusal - std::min(kKeptOfRefusal, request.body_.size())));
    return text.size();
  }
  if (request.body_.size() + text.size() > kLargestBody) return 0;
  request.body_ += text;
  return text.size();
}

bool HttpRequest::Ended(CURLcode code) {
  curl_easy_getinfo(handle(), CURLINFO_RESPONSE_CODE, &code_);
  if (redirects_ == 0) first_ = headers_;
  status_ = Status();
  if (code != CURLE_OK) {
    const std::string where = OriginOf(url_);
    status_ = Status(refused_ ? Code::kCancelled : Code::kIo,
                     fmt::format("{}: {}", where.empty() ? url_ : where, curl_easy_strerror(code)));
    return false;
  }
  if (!IsRedirect(code_)) return false;
  char* next = nullptr;
  curl_easy_getinfo(handle(), CURLINFO_REDIRECT_URL, &next);
  const std::string target = next == nullptr ? "" : next, origin = OriginOf(target);
  if (origin.empty() || ++redirects_ > kMostRedirects) {
    status_ =
        Status(Code::kIo, fmt::format("{}: it redirects {}", OriginOf(url_),
                                      origin.empty() ? "to something that is not an http or https URL" : "too often"));
    return false;
  }
  if (url_.starts_with("https:") && !origin.starts_with("https:")) {
    status_ = Status(Code::kIo, fmt::format("{}: it redirects to {}, which is not encrypted", OriginOf(url_), origin));
    return false;
  }
  url_ = target;
  body_.clear();
  Prepare();
  return true;
}

Status HttpRequest::Perform(const std::function<bool()>& go_on) {
  if (easy_ == nullptr) return Status(Code::kInternal, "libcurl cannot be started");
  bool stopped = false;
  struct Watch {
    const std::function<bool()>& go_on;
    bool& stopped;
  } watch{go_on, stopped};
  const auto progress = [](void* data, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    auto& what = *static_cast<Watch*>(data);
    what.stopped = what.stopped || !what.go_on();
    return what.stopped ? 1 : 0;
  };
  do {
    curl_easy_setopt(handle(), CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle(), CURLOPT_XFERINFODATA, &watch);
    curl_easy_setopt(handle(), CURLOPT_XFERINFOFUNCTION, +progress);
  } while (Ended(curl_easy_perform(handle())));
  return stopped ? Status(Code::kCancelled, "stopped") : status_;
}

std::string HttpRequest::Header(const std::string& name) const {
  const auto found = headers_.find(name);
  return found == headers_.end() ? "" : found->second;
}

std::string HttpRequest::FirstHeader(const std::string& name) const {
  const auto found = first_.find(name);
  return found == first_.end() ? "" : found->second;
}

}  // namespace headrace
