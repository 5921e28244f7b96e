// A folder for one test, removed with it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace headrace {

class TemporaryTree {
 public:
  TemporaryTree() {
    std::string name = (std::filesystem::temp_directory_path() / "headrace-test-XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  ~TemporaryTree() {
    std::error_code error;
    std::filesystem::remove_all(root_, error);
  }
  TemporaryTree(const TemporaryTree&) = delete;
  TemporaryTree& operator=(const TemporaryTree&) = delete;

  std::string Path(const std::string& name) const { return (root_ / name).string(); }
  std::string File(const std::string& name, const std::string& content = "", bool executable = false) const {
    const auto path = root_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << content;
    if (executable) std::filesystem::permissions(path, std::filesystem::perms(0755));
    return path.string();
  }
  std::string Program(const std::string& name) const { return File(name, "#!/bin/sh\nexit 0\n", true); }

 private:
  std::filesystem::path root_;
};

}  // namespace headrace
