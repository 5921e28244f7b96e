// The time of a pass by the number of tokens in it. While weights stream a pass waits for the disk whether it has one
// token or several, until computing takes longer than reading: that is what speculative decoding and requests that
// share a pass live on. Predicted from first principles, then corrected by what was measured. Pure; thread-compatible.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/prediction.h"
#include "plan/residency.h"

namespace headrace {

// What passes of about the same width took.
struct MeasuredPass {
  double tokens = 0;   // mean width
  double seconds = 0;  // mean time
};

class PassCost {
 public:
  // pass = max(disk, computing), where
  //   disk      = (streamed bytes + bytes of the experts that these tokens choose and that are not in memory) / disk
  //   bandwidth computing = the cheaper of plain kernels, tokens * (weights / bandwidth of one-token kernels), and
  //   repacked
  //               ones, streamed / repacking speed + 2 * active parameters * tokens / speed of wide products.
  // Limits that the profile does not know are left out.
  PassCost(const ResidencyPlan& plan, const MachineProfile& machine, double active_parameters,
           const ExpertDemand& experts = {});

  // Measured passes of this model, budget and machine. Between two of them the time is interpolated, beyond them the
  // prediction is scaled by the nearest one. Those without tokens or time are ignored.
  void Correct(std::vector<MeasuredPass> measured);

  // Seconds for a pass; 0 when nothing is known. What was measured counts by the number of tokens, whosever they were.
  double Seconds(const PassTokens& pass) const;
  double Seconds(double tokens) const { return Seconds(PassTokens{tokens}); }
  // Seconds that the disk alone takes for it, predicted.
  double DiskSeconds(const PassTokens& pass) const;
  double DiskSeconds(double tokens) const { return DiskSeconds(PassTokens{tokens}); }
  bool measured() const { return !measured_.empty(); }
  // Tokens of the widest pass that was measured; 0: none was.
  double widest_measured() const { return measured_.empty() ? 0 : measured_.back().tokens; }

 private:
  double Predicted(const PassTokens& pass) const;

  double shared_disk_s_ = 0;
  ExpertDemand experts_;
  double cached_bytes_ = 0, disk_bytes_per_s_ = 0;
  double plain_token_s_ = 0, packed_token_s_ = 0, pack_s_ = 0;
  std::vector<MeasuredPass> measured_;  // by width
};

}  // namespace headrace
