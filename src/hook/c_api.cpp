// The C API for programs that link the library (include/headrace/headrace.h).
#include "headrace/headrace.h"

#include <cmath>
#include <string>

#include "base/size.h"
#include "hook/runtime.h"
#include "telemetry/last_failure.h"

namespace {

int Refuse(const std::string& why) {
  headrace::SetLastFailure(why);
  return -1;
}

uint64_t Gibibytes(double value) { return static_cast<uint64_t>(value * static_cast<double>(headrace::kGiB)); }
bool Valid(double gibibytes) { return std::isfinite(gibibytes) && gibibytes >= 0 && gibibytes <= 1e6; }

}  // namespace

extern "C" {

void headrace_config_default(headrace_config* config) {
  *config = {sizeof(headrace_config), HEADRACE_FLASH_AUTO, HEADRACE_KERNELS_AUTO, 0, 0, 0, 0, nullptr, 0, 0};
}

int headrace_configure(const headrace_config* config) {
  if (config == nullptr || config->struct_size != sizeof(headrace_config))
    return Refuse("headrace_config has an unknown struct_size");
  if (config->flash_mode < HEADRACE_FLASH_OFF || config->flash_mode > HEADRACE_FLASH_ON)
    return Refuse("flash_mode must be off, auto or on");
  if (config->kernels < HEADRACE_KERNELS_AUTO || config->kernels > HEADRACE_KERNELS_REPACK)
    return Refuse("kernels must be auto, plain or repack");
  if (!Valid(config->flash_ram_gb)) return Refuse("flash_ram_gb must be a number of GiB, 0 for what ram_gb leaves");
  if (!Valid(config->ram_gb)) return Refuse("ram_gb must be a number of GiB, 0 for what the machine has");
  if (!Valid(config->kv_ram_gb))
    return Refuse("kv_ram_gb must be a number of GiB, 0 for a quarter of the memory for the process");
  if (!Valid(config->kv_disk_max_gb)) return Refuse("kv_disk_max_gb must be a number of GiB, 0 for what is free");
  headrace::Config parsed;
  parsed.flash_mode = static_cast<headrace::FlashMode>(config->flash_mode);
  parsed.kernels = static_cast<headrace::Kernels>(config->kernels);
  parsed.weights_bytes = Gibibytes(config->flash_ram_gb);
  if (config->ram_gb > 0 || parsed.weights_bytes > 0) parsed.process_bytes = Gibibytes(config->ram_gb);
  if (config->kv_dir != nullptr) parsed.kv_dir = config->kv_dir;
  parsed.kv_ram_bytes = Gibibytes(config->kv_ram_gb);
  parsed.kv_disk_max_bytes = Gibibytes(config->kv_disk_max_gb);
  parsed.debug = config->flash_debug != 0;
  parsed.lock = config->lock != 0;
  const headrace::Status status = headrace::Runtime::Get().Configure(parsed);
  return status.ok() ? 0 : Refuse(status.message());
}

int headrace_set_flash_ram_gb(double flash_ram_gb) {
  if (!Valid(flash_ram_gb) || Gibibytes(flash_ram_gb) == 0)
    return Refuse("flash_ram_gb must be a number of GiB above 0");
  headrace::Runtime::Get().SetWeightsLimit(Gibibytes(flash_ram_gb));
  return 0;
}

int headrace_get_stats(headrace_stats* stats) {
  if (stats == nullptr || stats->struct_size != sizeof(headrace_stats))
    return Refuse("headrace_stats has an unknown struct_size");
  const headrace::Snapshot& now = headrace::Runtime::Get().snapshot();
  stats->streaming = now.models > 0;
  stats->budget_bytes = now.budget_bytes;
  stats->weight_bytes = now.weight_bytes;
  stats->resident_bytes = now.resident_bytes;
  stats->streamed_bytes_per_pass = now.streamed_bytes_per_pass;
  stats->passes = now.passes;
  stats->bytes_read = now.bytes_read;
  stats->reads_retried = now.reads_retried;
  stats->reads_failed = now.reads_failed;
  stats->pass_ns = now.pass_ns;
  stats->wait_ns = now.wait_ns;
  stats->kernel_ns = now.kernel_ns;
  return 0;
}

const char* headrace_last_error(void) {
  headrace::Runtime::Get();  // a configuration that is not understood fails here
  // A copy of this thread's: others may fail while it is read.
  thread_local std::string shown;
  shown = headrace::LastFailure();
  return shown.c_str();
}

const char* headrace_version(void) { return HEADRACE_VERSION; }

}  // extern "C"
