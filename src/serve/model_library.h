// The models that can be served: GGUF files in a folder and those named on the command line.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "serve/file_stamp.h"
#include "serve/model_files.h"

namespace headrace::serve {

enum class ModelKind { kText, kEmbedding, kReranker, kProjector };
const char* ToString(ModelKind kind);

struct ModelEntry {
  std::string id;                  // what requests name (model_files.h)
  std::string path;                // absolute; of a split model the first part
  std::vector<std::string> other_names;
  std::vector<FileStamp> stamps;   // of its parts, when they were read
  uint64_t files = 0;              // parts
  uint64_t size_bytes = 0;         // of all parts
  int64_t modified = 0;            // seconds since 1970
  std::string architecture, name, quantization;
  uint64_t parameters = 0;
  uint64_t context_length = 0;     // the model's own, 0 unknown
  uint64_t weight_bytes = 0;
  bool has_pooling = false;
  ModelKind kind = ModelKind::kText;
  std::string error;               // why it cannot be loaded, "" when it can
};

// Thread-safe; reads the disk.
class ModelLibrary {
 public:
  // `folder` may be "". Errors: kNotFound and kInvalidArgument when it is no folder that can be read.
  static Status CheckFolder(const std::string& folder);
  ModelLibrary(std::string folder, std::vector<std::string> files);

  // Looks at the folder again. Headers of files that did not change are not read again. By id.
  std::vector<ModelEntry> Scan();

  // The model of this id, or of another of its names, or of its plain file name where only one has it. Names are
  // only ever compared with what Scan found: none can reach out of the folder.
  // Error: kNotFound, which names the nearest ones; `what` is it that there is none of.
  Result<ModelEntry> Find(const std::string& name, const char* what = "model");

  // The projector that lies alone beside this model in a folder of its own; "" when there is none.
  std::string ProjectorBeside(const ModelEntry& model);

 private:
  ModelEntry Describe(const ModelFile& file);   // needs mutex_

  const std::string folder_;
  const std::vector<std::string> files_;
  std::mutex mutex_;
  std::map<std::string, ModelEntry> known_;     // by path; guarded by mutex_
};

}  // namespace headrace::serve
