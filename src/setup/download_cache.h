// Where llama.cpp keeps what it downloads, by its own rules: today Hugging Face's folders for -hf
// (models--USER--NAME/snapshots/COMMIT) and one of its own for -mu and -dr; releases until 2026 had their own for all,
// with a manifest for each repository. Nothing is downloaded or changed here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/config.h"

namespace headrace::cli {

// A repository's files as they are here.
struct CachedModel {
  std::string path;       // of the model, or of its first part
  std::string projector;  // beside it, "" for none; of several the largest
};

class DownloadCache {
 public:
  // LLAMA_CACHE, HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, HOME.
  explicit DownloadCache(const Getenv& getenv);

  // `repository` is "USER/NAME" or "USER/NAME:QUANTIZATION", `file` one in it, "" for the one that llama.cpp chooses.
  // Of an unfinished download nothing is found.
  std::optional<CachedModel> FindRepository(const std::string& repository, const std::string& file) const;
  // Whether the repository brings settings for a server of several models.
  bool HasPreset(const std::string& repository) const;
  // The files of URL and of "[REPOSITORY/]NAME[:TAG]".
  std::optional<std::string> FindUrl(const std::string& url) const;
  std::optional<std::string> FindDockerModel(const std::string& name) const;

 private:
  std::optional<CachedModel> FindInHub(const std::string& name, const std::string& quantization,
                                       const std::string& file) const;
  std::optional<CachedModel> FindByManifest(const std::string& name, const std::string& quantization,
                                            const std::string& file) const;
  std::optional<std::string> FindOwn(const std::string& file_name) const;
  std::string Snapshot(const std::string& name) const;

  std::string hub_, own_;  // folders, "" for none
};

}  // namespace headrace::cli
