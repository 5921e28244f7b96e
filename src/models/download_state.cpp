#include "models/download_state.h"

#include <algorithm>
#include <numeric>

#include "base/json.h"
#include "base/size.h"
#include "base/small_file.h"

namespace headrace {
namespace {

// Small enough that a few are downloaded at a time, large enough that asking costs nothing.
constexpr uint64_t kSmallestPiece = kMiB, kLargestPiece = 64 * kMiB, kUsualPieces = 16;
constexpr uint64_t kLargestState = 16 * kMiB;
constexpr int kVersion = 1;

}  // namespace

DownloadState::DownloadState(uint64_t bytes, std::string tag)
    : bytes_(bytes),
      piece_bytes_(std::clamp(AlignUp(bytes / kUsualPieces, kMiB), kSmallestPiece, kLargestPiece)),
      tag_(std::move(tag)),
      done_((bytes + piece_bytes_ - 1) / piece_bytes_, 0) {}

DownloadState DownloadState::Load(const std::string& path, uint64_t bytes, const std::string& tag) {
  DownloadState state(bytes, tag);
  const auto text = ReadSmallFile(path, kLargestState);
  const Json json = text.ok() ? JsonOrNull(*text) : Json();
  const Json* done = FindMember(json, "done");
  if (CountOf(json, "version") != kVersion || CountOf(json, "bytes") != bytes || TextOf(json, "tag") != tag ||
      CountOf(json, "piece_bytes") != state.piece_bytes_ || done == nullptr || !done->is_array() ||
      done->size() != state.done_.size()) {
    return state;
  }
  for (size_t i = 0; i < state.done_.size(); ++i) {
    const Json& value = (*done)[i];
    if (!value.is_number_unsigned()) return DownloadState(bytes, tag);
    state.done_[i] = std::min(value.get<uint64_t>(), std::min(state.piece_bytes_, bytes - i * state.piece_bytes_));
  }
  return state;
}

Status DownloadState::Save(const std::string& path) const {
  return ReplaceFile(
      path,
      Json{{"version", kVersion}, {"bytes", bytes_}, {"piece_bytes", piece_bytes_}, {"tag", tag_}, {"done", done_}}
          .dump(-1, ' ', false, Json::error_handler_t::replace));
}

HttpRange DownloadState::Missing(size_t piece) const {
  const uint64_t begin = piece * piece_bytes_;
  return {begin + done_[piece], std::min(begin + piece_bytes_, bytes_)};
}

void DownloadState::Add(uint64_t begin, uint64_t bytes) {
  while (bytes > 0) {
    const size_t piece = begin / piece_bytes_;
    const uint64_t part = std::min(bytes, (piece + 1) * piece_bytes_ - begin);
    done_[piece] = begin + part - piece * piece_bytes_;
    begin += part;
    bytes -= part;
  }
}

void DownloadState::Clear() { std::fill(done_.begin(), done_.end(), 0); }

uint64_t DownloadState::done_bytes() const { return std::accumulate(done_.begin(), done_.end(), uint64_t{0}); }

}  // namespace headrace
