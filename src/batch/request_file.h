// The requests of a batch: where each lies in its file, and what it needs. Their text stays on disk.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/descriptor.h"
#include "base/status.h"
#include "batch/request.h"

namespace headrace::batch {

struct RequestEntry {
  uint64_t line = 0;      // from 1
  std::string custom_id;  // "" where a malformed line has none, or one that was there already
  Endpoint endpoint = Endpoint::kChat;
  Demand demand;
  std::string problem;  // with the line's number; "" when the line is sound
  uint64_t offset = 0, bytes = 0;

  // "batch_req_17": what names it in the results.
  std::string id() const;
};

class RequestFile {
 public:
  // `path` "-" is standard input. What is no regular file is copied into a temporary one first. Blank lines are left
  // out. Errors: kNotFound, kPermission, kInvalidArgument (a folder), kIo.
  static Result<RequestFile> Open(const std::string& path);

  const std::vector<RequestEntry>& entries() const { return entries_; }
  bool Has(const std::string& custom_id) const { return by_id_.count(custom_id) > 0; }
  // Reads a sound request again. Errors: kIo; kChanged when it is not there any more.
  Result<Request> Read(const RequestEntry& entry) const;

  // Of the file that was named.
  uint64_t device() const { return device_; }
  uint64_t inode() const { return inode_; }

 private:
  Status ReadAll();

  std::string name_;
  Descriptor file_;
  uint64_t device_ = 0, inode_ = 0;
  std::vector<RequestEntry> entries_;
  std::unordered_map<std::string, uint64_t> by_id_;  // to the line
};

}  // namespace headrace::batch
