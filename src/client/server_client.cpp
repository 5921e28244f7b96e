#include "client/server_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include "http/event_reader.h"
#include "report/exit_status.h"

namespace headrace::client {
namespace {

constexpr long kConnectMs = 10'000;
constexpr size_t kLargestAnswer = 64 << 20;
constexpr size_t kShownOfRefusal = 300;

struct CurlLibrary {
  CurlLibrary() { curl_global_init(CURL_GLOBAL_DEFAULT); }
  ~CurlLibrary() { curl_global_cleanup(); }
};

Code CodeOf(long http_status) {
  switch (http_status) {
    case 401:
    case 403:
      return Code::kPermission;
    case 404:
      return Code::kNotFound;
    case 400:
    case 405:
    case 413:
    case 422:
      return Code::kInvalidArgument;
    default:
      return Code::kInternal;
  }
}

}  // namespace

struct ServerClient::Answer {
  CURL* easy = nullptr;
  const OnEvent* on_event = nullptr;  // null: the body is wanted whole
  serve::EventReader events;
  std::string body;
  long status = 0;
  bool is_stream = false, started = false, broken_off = false, too_long = false;

  bool Take(std::string_view piece) {
    if (!started) {
      started = true;
      const char* type = nullptr;
      curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
      curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
      is_stream = status == 200 && type != nullptr && std::string_view(type).starts_with("text/event-stream");
    }
    if (!is_stream || on_event == nullptr) {
      too_long = body.size() + piece.size() > kLargestAnswer;
      if (!too_long) body += piece;
      return !too_long;
    }
    for (const std::string& data : events.Feed(piece)) {
      if ((*on_event)(data)) continue;
      broken_off = true;
      return false;
    }
    return true;
  }
};

Status RefusalOf(long http_status, std::string_view body) {
  const Json json = JsonOrNull(body);
  const Json* error = FindMember(json, "error");
  std::string text = error == nullptr ? "" : error->is_string() ? error->get<std::string>() : TextOf(*error, "message");
  if (text.empty()) {
    text = fmt::format("the server answered with HTTP status {}", http_status);
    if (!body.empty()) text += ": " + cli::OneLine(body.substr(0, kShownOfRefusal));
  }
  if (http_status == 401) text += "; here: --api-key KEY, or HEADRACE_API_KEY";
  return Status(CodeOf(http_status), text);
}

ServerClient::ServerClient(ServerAddress address) : address_(std::move(address)) { static const CurlLibrary library; }

ServerClient::~ServerClient() = default;

Status ServerClient::Perform(const std::string& path, const std::string* body, Answer& answer) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy(curl_easy_init(), curl_easy_cleanup);
  if (easy == nullptr) return Status(Code::kInternal, "libcurl cannot be started");
  answer.easy = easy.get();
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> lines(nullptr, curl_slist_free_all);
  const auto add_header = [&](const std::string& line) {
    if (curl_slist* longer = curl_slist_append(lines.get(), line.c_str())) {
      lines.release();
      lines.reset(longer);
    }
  };
  const std::string url = address_.url + path;
  curl_easy_setopt(answer.easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(answer.easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(answer.easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(answer.easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  curl_easy_setopt(answer.easy, CURLOPT_USERAGENT, "headrace/" HEADRACE_VERSION);
  if (!address_.key.empty()) add_header("Authorization: Bearer " + address_.key);
  if (body != nullptr) {
    add_header("Content-Type: application/json");
    add_header("Expect:");
    curl_easy_setopt(answer.easy, CURLOPT_POSTFIELDS, body->c_str());
    curl_easy_setopt(answer.easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
  }
  curl_easy_setopt(answer.easy, CURLOPT_HTTPHEADER, lines.get());
  const auto take = [](char* data, size_t size, size_t count, void* self) -> size_t {
    return static_cast<Answer*>(self)->Take({data, size * count}) ? size * count : 0;
  };
  curl_easy_setopt(answer.easy, CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(answer.easy, CURLOPT_WRITEFUNCTION, +take);
  const auto progress = [](void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<ServerClient*>(self)->go_on() ? 0 : 1;
  };
  curl_easy_setopt(answer.easy, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(answer.easy, CURLOPT_XFERINFODATA, this);
  curl_easy_setopt(answer.easy, CURLOPT_XFERINFOFUNCTION, +progress);
  const CURLcode code = curl_easy_perform(answer.easy);
  curl_easy_getinfo(answer.easy, CURLINFO_RESPONSE_CODE, &answer.status);
  if (code == CURLE_ABORTED_BY_CALLBACK) return Status(Code::kCancelled, "stopped");
  if (answer.broken_off) return Status();
  if (answer.too_long) return Status(Code::kUnsupported, address_.url + " sent an answer that is too long");
  if (code == CURLE_OK && answer.status >= 200 && answer.status < 300) return Status();
  if (code == CURLE_OK) return RefusalOf(answer.status, answer.body);
  if (answer.status == 0 && !answer.started) {
    return Status(Code::kNotFound,
                  fmt::format("no server answers at {} ({}); start one with `headrace serve`, or name another with "
                              "--server HOST:PORT",
                              address_.url, curl_easy_strerror(code)));
  }
  return Status(Code::kIo, fmt::format("the server's answer broke off: {}", curl_easy_strerror(code)));
}

Result<Json> ServerClient::Ask(const std::string& path, const std::string* body) {
  Answer answer;
  if (const Status asked = Perform(path, body, answer); !asked.ok()) return asked;
  auto json = ParseJson(answer.body);
  if (!json.ok() || !json->is_object()) {
    return Status(Code::kUnsupported,
                  fmt::format("{} is not a headrace server: its answer is not a JSON object", address_.url));
  }
  return json;
}

Result<Json> ServerClient::Get(const std::string& path) { return Ask(path, nullptr); }

Result<Json> ServerClient::Post(const std::string& path, const Json& body) {
  const std::string text = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return Ask(path, &text);
}

Status ServerClient::Stream(const std::string& path, const Json& body, const OnEvent& on_event) {
  const std::string text = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  Answer answer;
  answer.on_event = &on_event;
  if (const Status asked = Perform(path, &text, answer); !asked.ok()) return asked;
  if (answer.is_stream) return Status();
  return Status(Code::kUnsupported,
                fmt::format("{} is not a headrace server: it answers without a stream", address_.url));
}

}  // namespace headrace::client
