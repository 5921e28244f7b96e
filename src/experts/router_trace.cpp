#include "experts/router_trace.h"

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace headrace {
namespace {

static_assert(std::endian::native == std::endian::little);
constexpr std::string_view kTraceMagic = "HRTRACE1";
constexpr uint32_t kLimit = 65536;

Status Failed(const char* action, const std::string& path) {
  const Code code = errno == ENOENT ? Code::kNotFound : errno == EACCES ? Code::kPermission : Code::kIo;
  return Status(code, std::string("cannot ") + action + " the router trace " + path + ": " + std::strerror(errno));
}

}  // namespace

Result<std::unique_ptr<RouterTraceWriter>> RouterTraceWriter::Create(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "wbe");
  if (file == nullptr) return Failed("create", path);
  std::unique_ptr<RouterTraceWriter> writer(new RouterTraceWriter(file));
  if (std::fwrite(kTraceMagic.data(), 1, kTraceMagic.size(), file) != kTraceMagic.size()) return Failed("write", path);
  return writer;
}

RouterTraceWriter::~RouterTraceWriter() { std::fclose(file_); }

void RouterTraceWriter::Write(uint32_t layer, std::span<const uint32_t> experts) {
  if (layer >= kLimit || experts.size() >= kLimit) return;
  std::vector<uint16_t> step = {static_cast<uint16_t>(layer), 0};
  for (const uint32_t expert : experts) {
    if (expert < kLimit) step.push_back(static_cast<uint16_t>(expert));
  }
  step[1] = static_cast<uint16_t>(step.size() - 2);
  std::fwrite(step.data(), sizeof step[0], step.size(), file_);
}

Result<std::vector<RouterStep>> ReadRouterTrace(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (file == nullptr) return Failed("open", path);
  std::array<char, kTraceMagic.size()> magic{};
  if (std::fread(magic.data(), 1, magic.size(), file.get()) != magic.size() ||
      std::string_view(magic.data(), magic.size()) != kTraceMagic) {
    return Status(Code::kCorrupt, path + " is not a router trace");
  }
  std::vector<RouterStep> steps;
  std::array<uint16_t, 2> head{};
  while (true) {
    const size_t got = std::fread(head.data(), 1, sizeof head, file.get());
    if (got == 0 && std::ferror(file.get()) == 0) return steps;
    std::vector<uint16_t> experts(got == sizeof head ? head[1] : 0);
    if (got != sizeof head ||
        std::fread(experts.data(), sizeof experts[0], experts.size(), file.get()) != experts.size()) {
      return std::ferror(file.get()) != 0 ? Failed("read", path) : Status(Code::kCorrupt, path + " is cut off");
    }
    steps.push_back({head[0], {experts.begin(), experts.end()}});
  }
}

}  // namespace headrace
