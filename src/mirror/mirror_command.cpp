#include "mirror/mirror_command.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/clock.h"
#include "base/free_space.h"
#include "base/say.h"
#include "base/size.h"
#include "base/split_name.h"
#include "base/whole_disk.h"
#include "io/mirror_copy.h"
#include "learned/mirror_speeds.h"
#include "mirror/file_copy.h"
#include "process/stop_signals.h"
#include "report/exit_status.h"
#include "report/output.h"
#include "report/progress_line.h"
#include "setup/model_name.h"

namespace headrace::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMirrorExamples = R"(
Examples:
  headrace mirror model.gguf /mnt/second              a whole copy: /mnt/second/model.gguf
  headrace run model.gguf --mirror /mnt/second        reads both drives at once
  headrace mirror model.gguf /mnt/slow --share 0.25   a quarter of it, for a drive with a third of the speed
  headrace mirror --verify model.gguf /mnt/second     compares all bytes
  headrace mirror --remove model.gguf /mnt/second     deletes the copy

If it is stopped (Ctrl-C, a full disk), the same command goes on: what is there is compared with the model first.

A whole copy is an ordinary model file. A part has the name model.gguf.part-copy, and only --mirror can use it. A drive
with the share S/(S+F) of the bytes is busy all the time if it has the speed S and the first one F. docs/drives.md says
more.
)";

struct MirrorOptions {
  std::string model, folder;
  double share = 1;
  bool verify = false, remove = false;
};

// All parts of the model, as the library will see them: what links lead to.
Result<std::vector<SourceFile>> OpenModel(const std::string& name) {
  const auto path = ResolveModel(name);
  if (!path.ok()) return path.status();
  std::vector<std::string> paths = {*path};
  if (const auto split = ParseSplitName(*path); split && split->parts > 1) {
    paths.clear();
    for (uint32_t part = 1; part <= split->parts; ++part) paths.push_back(split->PathOf(part));
  }
  std::vector<SourceFile> files;
  for (const std::string& each : paths) {
    std::error_code error;
    const fs::path real = fs::canonical(each, error);
    auto file = SourceFile::Open(error ? each : real.string());
    if (!file.ok()) return file.status();
    files.push_back(std::move(*file));
  }
  return files;
}

// What is done of all bytes.
class Bytes {
 public:
  Bytes(const char* what, uint64_t all) : what_(what), all_(all) {}
  // False: a signal came.
  bool Add(uint64_t bytes) { return Add(bytes, what_); }
  bool Add(uint64_t bytes, const char* what) {
    done_ += bytes;
    const double seconds = static_cast<double>(Now() - begin_) / 1e9;
    line_.Show(fmt::format("{} {} of {}, {:.0f} %, {:.0f} MB/s", what, FormatSize(done_), FormatSize(all_),
                           100.0 * static_cast<double>(done_) / static_cast<double>(all_),
                           static_cast<double>(done_) / 1e6 / std::max(seconds, 1e-3)));
    return StopSignals::last() == 0;
  }

 private:
  const char* what_;
  const uint64_t all_;
  const uint64_t begin_ = Now();
  uint64_t done_ = 0;
  ProgressLine line_;
};

// The copy of a file in the folder, whole or in part; "" for none.
std::string FindCopy(const std::string& folder, const SourceFile& original) {
  std::error_code error;
  for (const uint64_t share : {Stripes::kWhole, uint64_t{1}}) {
    const std::string path = CopyPath(folder, original, share);
    if (fs::is_regular_file(path, error)) return path;
  }
  return "";
}

Status CheckFolder(const MirrorOptions& options, const std::vector<SourceFile>& files, uint64_t share,
                   std::vector<const SourceFile*>& wanted) {
  std::error_code error;
  if (!fs::is_directory(options.folder, error)) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} is no folder; make it with: mkdir -p {}", options.folder, options.folder));
  }
  struct stat info {};
  uint64_t bytes = 0;
  for (const SourceFile& file : files) {
    if (::stat(options.folder.c_str(), &info) == 0 && info.st_dev == file.identity().device) {
      return Status(Code::kInvalidArgument, fmt::format("{} lies on the same drive as {}: a copy there brings nothing",
                                                        options.folder, file.path()));
    }
    if (const std::string disk = SharedDisk(info.st_dev, file.identity().device); !disk.empty() && &file == &files[0])
      Say(SharedDiskLine(file.path(), options.folder, disk));
    const std::string there = FindCopy(options.folder, file);
    if (there.empty()) {
      wanted.push_back(&file);
      const std::string path = CopyPath(options.folder, file, share);
      bytes += CopyBytes(file, share) - std::min(CopyBytes(file, share), UnfinishedBytes(path));
    } else if (const auto opened = MirrorCopy::Open(file, there, SourceFile::Access::kDirect);
               !opened.ok() && !there.ends_with(PartialHeader::kSuffix)) {  // which --remove would refuse
      return Status(Code::kInvalidArgument,
                    opened.status().message() + "; if nobody needs it, delete it, then copy again");
    } else if (there != CopyPath(options.folder, file, share) || !opened.ok()) {
      return Status(
          Code::kInvalidArgument,
          fmt::format("{} is there already and is not this copy; remove it with: headrace mirror --remove {} {}", there,
                      options.model, options.folder));
    } else if (fs::file_size(there, error) != CopyBytes(file, share)) {
      return Status(
          Code::kInvalidArgument,
          fmt::format("{} is there already with another share; remove it with: headrace mirror --remove {} {}", there,
                      options.model, options.folder));
    }
  }
  if (const uint64_t free = FreeSpace(options.folder).value_or(bytes); free < bytes) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} has {} free and the copy needs {}; a part of it may do: --share {:.2f}",
                              options.folder, FormatSize(free), FormatSize(bytes),
                              std::floor(90.0 * static_cast<double>(free) / static_cast<double>(bytes)) / 100));
  }
  return {};
}

// A copy that was not finished.
int Ended(const Status& status, const MirrorOptions& options) {
  const std::string next = fmt::format(
      "what was copied stays: the same command goes on with it, `headrace mirror --remove {} {}` deletes it",
      options.model, options.folder);
  if (const int signal = StopSignals::last(); signal != 0) return Fail("stopped; " + next, kExitSignal + signal);
  if (status.code() != Code::kIo) return Fail(status);
  return Fail(Status(status.code(), status.message() + "; " + next));
}

int Copy(const MirrorOptions& options, const std::vector<SourceFile>& files) {
  const auto share = static_cast<uint64_t>(std::llround(options.share * Stripes::kWhole));
  if (!(options.share > 0 && options.share <= 1) || share == 0)
    return Fail(fmt::format("--share {} is not understood; write a number above 0 and at most 1", options.share),
                kExitUsage);
  std::vector<const SourceFile*> wanted;
  if (const Status status = CheckFolder(options, files, share, wanted); !status.ok()) return Fail(status);
  uint64_t all = 0, there = 0;
  for (const SourceFile* file : wanted) {
    all += Stripes(file->size(), share).bytes();
    there += UnfinishedBytes(CopyPath(options.folder, *file, share));
  }
  if (there > 0)
    Say(fmt::format("a copy was begun here: {} of it are compared with the model first, then it goes on",
                    FormatSize(there)));
  there = 0;
  {
    Bytes bytes("copied", std::max<uint64_t>(all, 1));
    for (const SourceFile* file : wanted) {
      const Status status = CopyFile(
          *file, CopyPath(options.folder, *file, share), share,
          [&](uint64_t count) {
            there += count;
            return bytes.Add(count, "compared");
          },
          [&](uint64_t count) { return bytes.Add(count); });
      if (!status.ok()) return Ended(status, options);
    }
  }
  Say(fmt::format("{}{}{}; next: headrace run {} --mirror {}",
                  wanted.empty() ? "the copy is there already, " : "copied ", FormatSize(all - there),
                  there > 0 ? fmt::format(", and {} were there from before", FormatSize(there)) : "", options.model,
                  options.folder));
  for (const SourceFile& file : files) WriteOutput(CopyPath(options.folder, file, share) + "\n");
  return kExitOk;
}

int Verify(const MirrorOptions& options, const std::vector<SourceFile>& files) {
  uint64_t all = 0;
  for (const SourceFile& file : files) all += file.size();
  Bytes bytes("compared", all);
  for (const SourceFile& file : files) {
    const std::string path = FindCopy(options.folder, file);
    if (path.empty()) {
      return Fail(fmt::format("{} holds no copy of {}; make one with: headrace mirror {} {}", options.folder,
                              file.path(), options.model, options.folder),
                  kExitFailure);
    }
    const Status status = CompareCopy(file, path, [&](uint64_t count) { return bytes.Add(count); });
    if (StopSignals::last() != 0) return Fail("stopped", kExitSignal + StopSignals::last());
    if (!status.ok()) return Fail(status.message(), kExitFailure);
    WriteOutput(path + ": every byte is that of the model\n");
  }
  return kExitOk;
}

int Remove(const MirrorOptions& options, const std::vector<SourceFile>& files) {
  for (const SourceFile& file : files) {
    const std::string path = FindCopy(options.folder, file);
    bool unfinished = false;
    for (const uint64_t share : {Stripes::kWhole, uint64_t{1}}) {
      const std::string begun = CopyPath(options.folder, file, share) + kUnfinishedCopy;
      if (::unlink(begun.c_str()) == 0) {
        unfinished = true;
        Say("removed " + begun);
      }
    }
    if (path.empty() && unfinished) continue;
    if (path.empty()) {
      return Fail(fmt::format("{} holds no copy of {}", options.folder, file.path()), kExitFailure);
    }
    // A file of the same name that is another model is not deleted; a damaged part can be nothing else.
    const auto copy = MirrorCopy::Open(file, path, SourceFile::Access::kDirect);
    if (!copy.ok() && !path.ends_with(PartialHeader::kSuffix)) {
      return Fail(copy.status().message() + "; it was not removed", kExitFailure);
    }
    if (::unlink(path.c_str()) != 0) return Fail(path + ": cannot be removed", kExitFailure);
    Say("removed " + path);
  }
  return kExitOk;
}

int MirrorNow(const MirrorOptions& options) {
  const auto files = OpenModel(options.model);
  if (!files.ok()) return Fail(files.status());
  const StopSignals signals;
  if (options.verify) return Verify(options, *files);
  return options.remove ? Remove(options, *files) : Copy(options, *files);
}

}  // namespace

void AddMirrorCommand(CLI::App& app, CommandLine& line) {
  CLI::App* command = app.add_subcommand("mirror", "Copy a model to a second drive, to read from both at once");
  command->footer(kMirrorExamples);
  const auto options = std::make_shared<MirrorOptions>();
  TakesModel(command->add_option("model", options->model, "Model: a GGUF file, or a name from `headrace list`"))
      ->type_name("MODEL")
      ->required();
  command->add_option("folder", options->folder, "Folder on the other drive")->type_name("DIR")->required();
  command->add_option("--share", options->share, "Copy only this share of the bytes, spread evenly (default 1)")
      ->type_name("NUMBER");
  CLI::Option* verify = command->add_flag("--verify", options->verify, "Compare all bytes of the copy that is there");
  command->add_flag("--remove", options->remove, "Delete the copy that is there")->excludes(verify);
  command->callback([options, &line] { line.action = [options] { return MirrorNow(*options); }; });
}

}  // namespace headrace::cli
