// The page: the files of web/, which cmake puts into the program.
#pragma once

#include <span>
#include <string_view>

#include "http/http.h"

namespace headrace::serve {

struct WebFile {
  std::string_view path;  // "/index.html"
  std::string_view content;
  std::string_view hash;  // of the content
};

// By path; made by cmake/EmbedWeb.cmake.
std::span<const WebFile> WebFiles();

// "/" is "/index.html". Null when there is none: only these paths exist.
const WebFile* FindWebFile(std::string_view path);

// The file, or 304 when the client has it already.
Reply ServeWebFile(const WebFile& file, const Request& request);

}  // namespace headrace::serve
