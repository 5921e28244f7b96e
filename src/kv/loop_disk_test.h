// A small file system of its own, for tests of full and failing disks. Needs root and a loop device.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

#include "base/free_space.h"

namespace headrace {

// ext4 in an image of that many bytes, mounted below `folder`; unmounted and removed at the end. `problem()` says
// why it is not there.
class LoopDisk {
 public:
  LoopDisk(const std::string& folder, uint64_t bytes) : image_(folder + "/disk.img"), path_(folder + "/disk") {
    if (geteuid() != 0) {
      problem_ = "needs root to mount a file system";
      return;
    }
    std::ofstream(image_) << std::flush;
    if (truncate(image_.c_str(), static_cast<off_t>(bytes)) != 0) problem_ = "cannot make " + image_;
    mkdir(path_.c_str(), 0755);
    // Without a journal, whose failing would make the file system read-only.
    Run("PATH=$PATH:/usr/sbin mkfs.ext4 -q -F -m 0 -O ^has_journal -E lazy_itable_init=1 '" + image_ + "'");
    Run("mount -o loop '" + image_ + "' '" + path_ + "'");
    mounted_ = problem_.empty();
  }
  ~LoopDisk() {
    if (mounted_ && std::system(("umount '" + path_ + "'").c_str()) != 0) return;
    unlink(image_.c_str());
    rmdir(path_.c_str());
  }
  LoopDisk(const LoopDisk&) = delete;
  LoopDisk& operator=(const LoopDisk&) = delete;

  const std::string& problem() const { return problem_; }
  const std::string& path() const { return path_; }

  uint64_t FreeBytes() const { return FreeSpace(path_).value_or(0); }

 private:
  void Run(const std::string& command) {
    if (problem_.empty() && std::system(command.c_str()) != 0) problem_ = "this failed: " + command;
  }

  const std::string image_, path_;
  std::string problem_;
  bool mounted_ = false;
};

}  // namespace headrace
