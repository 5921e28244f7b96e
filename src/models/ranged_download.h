// One file over HTTP, several ranges of it at a time, into a file whose name says that it is not whole. For one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "models/download_state.h"
#include "models/http_request.h"

namespace headrace {

struct DownloadFile {
  std::string url;
  uint64_t bytes = 0;
  std::string tag;      // of this version: its hash, or what the server's ETag says; "" where it names none
  bool hashed = false;  // its hash is known, and checked afterwards: ETags need not be compared
  std::string part;     // path of what is there so far
  bool ranges = true;   // the server can send a part
};

std::string StatePath(const DownloadFile& file);

// What is still to come: of what an interrupted download has left nothing.
uint64_t MissingBytes(const DownloadFile& file);

// Until all bytes are on the disk in `file.part`. A connection that breaks is made anew, up to eight times without a
// byte between them; a server that cannot send a part sends the whole. `on_progress` is told how many bytes are there,
// several times a second, and returns false to stop: what is there stays, and the same call goes on. Errors: kIo;
// kPermission for 401 and 403; kNotFound for 404 and 410; kChanged where it is another version now; kCancelled.
Status DownloadRanges(const DownloadFile& file, const HttpAccess& access,
                      const std::function<bool(uint64_t)>& on_progress);

// The error that an answer of this code is.
Status RefusalStatus(const HttpRequest& request, const std::string& what);

}  // namespace headrace
