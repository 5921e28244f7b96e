#include "batch/part_results.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "batch/result_line.h"
#include "batch/usage.h"
#include "setup/workers.h"

namespace headrace::batch {
namespace {

constexpr unsigned kMostAttempts = 3;  // of one request that fails while others may not
constexpr unsigned kMostGivenUp = 3;   // requests in a row: it is not they who fail
constexpr unsigned kMostCrashes = 5;   // without a result in between

}  // namespace

void PartResults::Foresee(size_t request, uint64_t prompt_tokens) {
  const Demand& demand = Entry(request).demand;
  Work& work = work_[request];
  tally_.waiting -= work;
  work = {prompt_tokens * demand.answers,
          std::max<uint64_t>(1, demand.prompts) * demand.answers * AnswerTokens(demand, prompt_tokens, plan_.limits)};
  tally_.waiting += work;
}

Status PartResults::TakeAnswer(size_t request, int status, const std::string& body) {
  const std::string line = ResponseLine(Entry(request), status, body);
  if (status >= 500 && status != 501) return Fail(request, line, body);
  HEADRACE_RETURN_IF_ERROR(CheckStreaming());
  if (status == 200) {
    const Usage usage = UsageOf(body);
    tally_.finished += usage.work;
    tally_.limits += work_[request];
    tally_.cut_off += usage.ended_by_length && EndedByContext(request, usage.work.answer_tokens);
    crashes_ = given_up_ = 0;
  }
  return Write(request, line, status != 200);
}

Status PartResults::TakeBrokenAnswer(size_t request, const std::string& why) {
  return Fail(request, ErrorLine(Entry(request), "engine_error", "llama-server broke off its answer"), why);
}

Status PartResults::TakeCrash() {
  const std::string how = server_.process()->DescribeEnd();
  if (const std::string lost = cli::LostWorkers(plan_.arguments); !lost.empty()) return Status(Code::kInternal, lost);
  if (++crashes_ >= kMostCrashes) {
    return Status(
        Code::kInternal,
        fmt::format("llama-server ended {} times without a result in between; the last time it {}", crashes_, how));
  }
  LogWarning(fmt::format("llama-server {}; headrace starts it again and repeats the requests that were running", how));
  const auto alone = schedule_.alone();
  if (alone) return Fail(*alone, ErrorLine(Entry(*alone), "engine_crashed", fmt::format("llama-server {}", how)), how);
  schedule_.RepeatAllAlone();
  return {};
}

// An answer that did not come to its end was shorter than it could have been.
bool PartResults::EndedByContext(size_t request, uint64_t tokens) const {
  const auto limit = Entry(request).demand.answer_tokens ? Entry(request).demand.answer_tokens : options_.answer;
  return !limit || tokens < *limit;
}

// A failure that may not be the request's own.
Status PartResults::Fail(size_t request, const std::string& line, const std::string& why) {
  if (++attempts_[request] < kMostAttempts) {
    schedule_.Repeat(request);
    return {};
  }
  if (++given_up_ < kMostGivenUp) {
    crashes_ = 0;  // they were this one's
    return Write(request, line, true);
  }
  const auto statistics = server_.ReadStatistics();
  return Status(
      Code::kInternal,
      fmt::format("{} requests in a row failed {} times each: {}", kMostGivenUp, kMostAttempts,
                  statistics && !statistics->last_error.empty() ? statistics->last_error : why.substr(0, 300)));
}

Status PartResults::Write(size_t request, const std::string& line, bool failed) {
  HEADRACE_RETURN_IF_ERROR(results_.Append(line));
  schedule_.Finish(request);
  tally_.waiting -= work_[request];
  ++tally_.done;
  tally_.failed += failed;
  return {};
}

// The engine may be one that the library cannot reach.
Status PartResults::CheckStreaming() {
  if (streams_ || !plan_.model.passes_stream()) return {};
  const std::string why = server_.WhyNotStreaming();
  streams_ = why.empty();
  return streams_ ? Status()
                  : Status(Code::kInternal, "flash weight streaming was asked for but is not possible: " + why);
}

}  // namespace headrace::batch
