#include "http/web_files.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace headrace::serve {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kTypes = {
    {{".html", "text/html; charset=utf-8"},
     {".css", "text/css; charset=utf-8"},
     {".js", "text/javascript; charset=utf-8"},
     {".mjs", "text/javascript; charset=utf-8"},
     {".json", "application/json"},
     {".svg", "image/svg+xml"},
     {".png", "image/png"},
     {".woff2", "font/woff2"}}};

std::string_view TypeOf(std::string_view path) {
  for (const auto& [suffix, type] : kTypes) {
    if (path.ends_with(suffix)) return type;
  }
  return "application/octet-stream";
}

}  // namespace

const WebFile* FindWebFile(std::string_view path) {
  if (path == "/") path = "/index.html";
  const auto files = WebFiles();
  const auto it = std::find_if(files.begin(), files.end(), [&](const WebFile& file) { return file.path == path; });
  return it == files.end() ? nullptr : &*it;
}

Reply ServeWebFile(const WebFile& file, const Request& request) {
  Reply reply;
  const std::string tag = fmt::format("\"{}\"", file.hash);
  if (request.Header("If-None-Match") == tag) {
    reply.status = 304;
  } else {
    reply.body = file.content;
  }
  reply.content_type = TypeOf(file.path);
  // Nothing from anywhere else, and in nobody's frame: the page can load models and shows chats.
  reply.headers = {
      {"ETag", tag},
      {"Cache-Control", "no-cache"},
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
       "font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"X-Frame-Options", "DENY"},
      {"Referrer-Policy", "no-referrer"}};
  return reply;
}

}  // namespace headrace::serve
