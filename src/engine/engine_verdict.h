// What `headrace engine check` found out about an engine, kept until the engine's files or headrace's library change.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "engine/engine_locator.h"

namespace headrace::cli {

struct EngineVerdict {
  int64_t at = 0;     // seconds since 1970
  bool same = false;  // it computed the same with streamed weights as without
  std::string text;   // "4 of 4 the same", or what was wrong
};

// Tells an engine with this library on this processor from any other: of the processor's features, and of the files'
// paths, sizes and times in whole seconds, which are what an image of a container keeps. "" when one of the files
// cannot be looked at.
std::string EngineKey(const Engine& engine, const std::string& library, std::string_view cpuinfo);

// The file's content, by key. Everything in it that is no whole verdict is ignored.
using EngineVerdicts = std::map<std::string, EngineVerdict>;
EngineVerdicts ParseVerdicts(std::string_view json);
// The newest ones: engines come and go.
inline constexpr size_t kMostVerdicts = 16;
std::string RenderVerdicts(EngineVerdicts verdicts);

// None when this engine was not checked on such a processor, or has changed since.
std::optional<EngineVerdict> LoadVerdict(const Engine& engine, const std::string& library);
// In CacheDirectory(). Errors: kNotFound (there is no such folder, or one of the engine's files is gone), kPermission,
// kIo.
Status StoreVerdict(const Engine& engine, const std::string& library, const EngineVerdict& verdict);

// "2026-11-26: 4 of 4 the same"; "not checked yet; ..." without one.
std::string DescribeVerdict(const std::optional<EngineVerdict>& verdict);

}  // namespace headrace::cli
