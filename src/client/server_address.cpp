#include "client/server_address.h"

#include <algorithm>
#include <cctype>
#include <memory>

#include <curl/curl.h>
#include <fmt/format.h>

namespace headrace::client {
namespace {

constexpr const char* kDefaultPort = "8080";

bool IsPort(const std::string& text) {
  return !text.empty() && text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

// The short forms as whole URLs.
std::string WholeUrl(const std::string& text) {
  if (text.find("://") != std::string::npos) return text;
  if (IsPort(text)) return "http://127.0.0.1:" + text;
  const size_t host_end = text.starts_with('[') ? text.find(']') : 0;
  const size_t path = std::min(text.find('/'), text.size());
  const bool has_port = host_end != std::string::npos && text.find(':', host_end) < path;
  return "http://" + text.substr(0, path) + (has_port ? "" : std::string(":") + kDefaultPort) + text.substr(path);
}

bool IsServerUrl(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parts(curl_url(), curl_url_cleanup);
  if (parts == nullptr || curl_url_set(parts.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return false;
  const auto has = [&](CURLUPart part) {
    char* text = nullptr;
    if (curl_url_get(parts.get(), part, &text, 0) != CURLUE_OK) return false;
    curl_free(text);
    return true;
  };
  const bool http = url.starts_with("http://") || url.starts_with("https://");
  return http && has(CURLUPART_HOST) && !has(CURLUPART_QUERY) && !has(CURLUPART_FRAGMENT) && !has(CURLUPART_USER);
}

}  // namespace

Result<ServerAddress> ResolveServer(const std::string& server, const std::string& key,
                                    const std::function<const char*(const char*)>& getenv) {
  const auto variable = [&](const char* name) {
    const char* value = getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  std::string given = !server.empty() ? server : variable("HEADRACE_SERVER");
  if (given.empty()) given = kDefaultServer;
  ServerAddress address;
  address.url = WholeUrl(given);
  while (address.url.ends_with('/')) address.url.pop_back();
  if (!IsServerUrl(address.url)) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} is not the address of a server: write a port, HOST:PORT or http://HOST:PORT", given));
  }
  address.key = !key.empty() ? key : variable("HEADRACE_API_KEY");
  address.key.resize(std::min(address.key.find(','), address.key.size()));
  return address;
}

}  // namespace headrace::client
