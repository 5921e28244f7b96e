// The models that there are, with what their headers say: GGUF files in places and those named on the command line.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "models/file_stamp.h"
#include "models/model_files.h"

namespace headrace {

enum class ModelKind { kText, kEmbedding, kReranker, kProjector };
const char* ToString(ModelKind kind);

struct ModelEntry : ModelFile {
  std::vector<FileStamp> stamps;  // of its parts, when they were read
  uint64_t files = 0;             // parts
  uint64_t size_bytes = 0;        // of all parts
  int64_t modified = 0;           // seconds since 1970
  std::string architecture, name, quantization;
  uint64_t parameters = 0;
  uint64_t context_length = 0;  // the model's own, 0 unknown
  uint64_t weight_bytes = 0;
  bool has_pooling = false;
  ModelKind kind = ModelKind::kText;
  std::string projector;  // Scan: the path of the one that lies alone beside it in a folder of its own, "" for none
  std::string error;      // why it cannot be loaded, "" when it can
};

// Whether it answers requests: a file that can be read and no projector.
bool Answers(const ModelEntry& entry);

// Thread-safe; reads the disk.
class ModelLibrary {
 public:
  // Errors: kNotFound and kInvalidArgument when it is no folder that can be read.
  static Status CheckFolder(const std::string& folder);
  ModelLibrary(std::vector<ModelPlace> places, std::vector<std::string> files);

  // Looks at the places again. Headers of files that did not change are not read again. By id.
  std::vector<ModelEntry> Scan();

  // FindByName. `what` is it that there is none of.
  Result<ModelEntry> Find(const std::string& name, const char* what = "model");

  // ModelEntry::projector, as it is now.
  std::string ProjectorBeside(const ModelEntry& model);

 private:
  void FindProjectors(std::vector<ModelEntry>& entries) const;
  ModelEntry Describe(const ModelFile& file);  // needs mutex_

  const std::vector<ModelPlace> places_;
  const std::vector<std::string> files_;
  std::mutex mutex_;
  std::map<std::string, ModelEntry> known_;  // by path; guarded by mutex_
};

}  // namespace headrace
