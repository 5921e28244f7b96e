#include "exec/engine_trust.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "exec/cut_check.h"
#include "exec/kernel_timing.h"
#include "exec/worker.h"
#include "plan/residency.h"

namespace headrace {
namespace {

// Several: a kernel that gave other bits to each thread's part of the rows would show it.
constexpr int kThreads = 2;

// Only ggml's kernels for arm64 take several rows and columns at once.
#ifdef __aarch64__
constexpr bool kKernelsTakePairs = true;
#else
constexpr bool kKernelsTakePairs = false;
#endif

}  // namespace

EngineTrust::EngineTrust(const GgmlApi& api, KernelChoice& choice, ApartTypes& apart)
    : api_(api), choice_(choice), apart_(apart) {}

EngineTrust::~EngineTrust() {
  if (backend_ != nullptr) api_.backend_free(backend_);
}

bool EngineTrust::MayCut(const Weight& weight) {
  if (!weight.experts && (!weight.cut.by_rows || weight.tensor.ne[1] <= static_cast<int64_t>(kRowGroup))) {
    LearnCosts(weight);
    return true;  // it is never cut, and says nothing of others
  }
  const auto [known, added] = trusted_.try_emplace(
      {weight.tensor.type, weight.experts, weight.packed != nullptr ? weight.packed->buffer : nullptr}, false);
  if (!added) {
    if (known->second) LookAtPairs(weight);
    return known->second;
  }
  known->second = Check(weight);
  if (known->second) {
    LookAtPairs(weight);
    LearnCosts(weight);
  } else {
    LogWarning(
        fmt::format("this llama.cpp multiplies {} differently in pieces than whole: such weights do not stream, its "
                    "own mapping of the file is used",
                    api_.type_name(weight.tensor.type)));
  }
  return known->second;
}

bool EngineTrust::Check(const Weight& weight) {
  if (backend_ == nullptr) backend_ = Workers::NewBackend(api_, kThreads);
  if (backend_ == nullptr) return false;
  if (weight.experts) {
    ExpertProduct product(api_);
    return ExpertPiecesEqualWhole(api_, product, backend_, weight);
  }
  Product product(api_, apart_);
  return PiecesEqualWhole(api_, product, backend_, weight);
}

// Once for each type.
void EngineTrust::LookAtPairs(const Weight& weight) {
  if (!kKernelsTakePairs || weight.experts || weight.tensor.ne[1] < static_cast<int64_t>(2 * kRowGroup)) return;
  if (!looked_at_.insert(weight.tensor.type).second) return;
  Product product(api_, apart_);
  if (PlainPiecesEqualWholeOnThreads(api_, product, weight)) return;
  choice_.DivideByShares(weight.tensor.type);
  LogDebug(fmt::format("{}: its kernels take two rows and two columns at once; each thread multiplies a share of rows",
                       api_.type_name(weight.tensor.type)));
}

void EngineTrust::LearnCosts(const Weight& weight) {
  if (weight.packed == nullptr || !choice_.NeedsCosts(weight.tensor.type, weight.experts)) return;
  if (backend_ == nullptr) backend_ = Workers::NewBackend(api_, kThreads);
  if (backend_ == nullptr) return;
  const uint64_t start = Now();
  std::optional<KernelCosts> costs;
  if (weight.experts) {
    ExpertProduct product(api_);
    costs = MeasureExpertKernels(api_, product, backend_, weight);
  } else {
    Product product(api_, apart_);
    costs = MeasureKernels(api_, product, backend_, weight);
  }
  const int64_t from = choice_.Learn(weight.tensor.type, weight.experts, costs);
  LogDebug(fmt::format("{}{}: streamed rows are repacked {}; {}, {:.1f} ms", api_.type_name(weight.tensor.type),
                       weight.experts ? " experts" : "",
                       from == KernelCosts::kNever ? "never" : fmt::format("from {} columns on", from),
                       costs ? costs->Describe() : "other programs keep the processor busy, nothing could be measured",
                       static_cast<double>(Now() - start) / 1e6));
}

}  // namespace headrace
