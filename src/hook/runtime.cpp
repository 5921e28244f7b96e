#include "hook/runtime.h"

#include <pthread.h>

#include <cstdlib>
#include <mutex>

#include <fmt/format.h>

#include "base/log.h"
#include "memory/region.h"

namespace headrace {
namespace {

std::unique_ptr<WeightsAllowance> MakeAllowance(const Config& config) {
  WeightsAllowance::Limits limits;
  limits.automatic = config.process_bytes == Config::kAutomatic;
  if (config.process_bytes > 0 && !limits.automatic) limits.process_bytes = config.process_bytes;
  if (config.weights_bytes > 0) limits.weights_bytes = config.weights_bytes;
  limits.foretold_rest_bytes = config.rest_bytes;
  return std::make_unique<WeightsAllowance>(limits, ReadAddressLimits(), ReadTextFile);
}

}  // namespace

std::atomic<bool> Runtime::has_mappings_{false};

Runtime& Runtime::Get() {
  static Runtime* const runtime = new Runtime;
  return *runtime;
}

Runtime::Runtime() {
  auto config = ParseConfig([](const char* name) -> const char* { return std::getenv(name); });
  if (!config.ok()) {
    Note(config.status());
    return;
  }
  Use(*config);
  if (!config_.snapshot_path.empty()) {
    if (const Status mapped = snapshot_.MapFile(config_.snapshot_path); !mapped.ok()) Note(mapped);
  }
  // A forked child has neither the reading thread nor the resident memory: there the mapping alone serves.
  ::pthread_atfork(nullptr, nullptr, [] {
    Runtime& runtime = Get();
    runtime.enabled_ = false;
    runtime.any_streams_ = false;
    runtime.keeps_kv_ = false;
    runtime.kv_in_use_ = nullptr;
    has_mappings_ = false;
    runtime.snapshot_.LeaveToParent();
  });
  // For a host that ends without unloading its models.
  std::atexit([] { Get().Leave(); });
}

void Runtime::Leave() noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock.owns_lock() && any_streams_ && executor_ != nullptr) executor_->Leave();
  snapshot_.Withdraw();
}

Status Runtime::Configure(const Config& config) {
  const std::lock_guard making(making_mutex_);
  const std::lock_guard lock(mutex_);
  if (model_seen_)
    return Status(Code::kInvalidArgument, "headrace must be configured before the first model is loaded");
  Use(config);
  return {};
}

void Runtime::Use(const Config& config) {
  config_ = config;
  SetLogLevel(config.debug ? LogLevel::kDebug : LogLevel::kWarning);
  enabled_ = config.flash_mode != FlashMode::kOff;
  keeps_kv_ = !config.kv_dir.empty();
}

void Runtime::SetWeightsLimit(uint64_t bytes) {
  std::shared_ptr<Executor> executor;
  {
    const std::lock_guard lock(mutex_);
    config_.weights_bytes = bytes;
    if (allowance_ != nullptr) allowance_->SetWeightsLimit(bytes);
    executor = executor_;
  }
  if (executor != nullptr) executor->FollowAllowance();
}

Config Runtime::ConfigNow() const {
  const std::lock_guard lock(mutex_);
  return config_;
}

void Runtime::Note(const Status& status) {
  LogWarning(status.message());
  SetLastError(*snapshot_.writer(), status.message());
}

// Null: the caller is no llama.cpp, or one that does not fit.
std::shared_ptr<const GgmlApi> Runtime::FindEngine(void* caller) {
  auto engine = engines_.Find(caller, config_);
  if (engine.ok()) return *engine;
  Note(Status(engine.status().code(),
              fmt::format("flash weight streaming stays off, this llama.cpp does not fit: {}; "
                          "install the one that headrace was built for with `headrace engine install`",
                          engine.status().message())));
  return nullptr;
}

WeightsAllowance& Runtime::Allowance() {
  if (allowance_ == nullptr) {
    const Config config = ConfigNow();
    auto allowance = MakeAllowance(config);
    Region::LockFromNowOn(config.lock);
    const std::lock_guard lock(mutex_);
    if (config_.weights_bytes != config.weights_bytes)
      allowance->SetWeightsLimit(config_.weights_bytes);  // set meanwhile
    allowance_ = std::move(allowance);
    model_seen_ = true;
  }
  return *allowance_;
}

}  // namespace headrace
