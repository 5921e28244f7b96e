// A file that comes from the network and has its name only when it is whole.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "models/http_request.h"
#include "models/ranged_download.h"

namespace headrace {

struct FetchedFile {
  std::string url, path;  // path: where it will be
  uint64_t bytes = 0;
  std::string sha256;  // "" not known
  std::string tag;     // as the server's ETag has it, "" for none
  bool ranges = true;

  bool is_there() const;  // under its name, of this length
  DownloadFile Download() const;
};

// What a server says about the file at a URL: bytes, tag, ranges; `sha256` where `access` trusts the server. Errors:
// kIo, kPermission, kNotFound, kUnsupported where it does not say how long the file is.
Result<FetchedFile> ProbeFile(const std::string& url, const HttpAccess& access, const std::function<bool()>& go_on);

// Fetches, checks that it is a GGUF file and has the hash, writes all to the disk, and gives it its name.
// `on_progress`: whether it is being checked, and the bytes of that. Errors: those of DownloadRanges; kUnsupported for
// what is no GGUF file and kIo for a wrong hash too: what came is gone.
Status Fetch(const FetchedFile& file, const HttpAccess& access,
             const std::function<bool(bool checking, uint64_t bytes)>& on_progress);

// kOutOfBudget where the disk of `folder`, which exists, has less room than so many bytes.
Status CheckRoom(const std::string& folder, uint64_t bytes);

}  // namespace headrace
