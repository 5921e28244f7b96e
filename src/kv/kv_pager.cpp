#include "kv/kv_pager.h"

#include <algorithm>

#include "base/clock.h"
#include "base/size.h"
#include "io/read_thread.h"

namespace headrace {
namespace {

// Of memory that is kept already: less is not worth a write. The plan leaves a sixteenth free for it.
bool MuchMore(uint64_t kept, uint64_t target) { return kept > target + target / 32 + PageBytes(); }

// Of one file, read at once. Some are read ahead while a layer computes, so they are smaller than most layers.
constexpr uint64_t kPieceBytes = kMiB;

uint64_t BytesOf(const KvLayer& layer) {
  uint64_t bytes = 0;
  for (const KvPart& part : layer) bytes += BytesOf(part.pages);
  return bytes;
}

}  // namespace

Result<std::unique_ptr<KvPager>> KvPager::Start(uint64_t ram_bytes) {
  std::unique_ptr<KvPager> pager(new KvPager(ram_bytes));
  auto thread = StartReadThread("headrace-kv", [raw = pager.get()] { raw->Run(); });
  if (!thread.ok()) return thread.status();
  pager->thread_ = std::move(*thread);
  return pager;
}

KvPager::~KvPager() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void KvPager::Fail(const Status& status) {
  if (failure_.ok()) failure_ = status;
}

Status KvPager::Trim(const Key& key, Tensor& tensor, const PageRanges& kept) {
  for (const PageRange& range : Without(tensor.place, kept)) HEADRACE_RETURN_IF_ERROR(key.first->Evict(range));
  tensor.kept_bytes = BytesOf(kept);
  return {};
}

void KvPager::WaitUntilIdle(std::unique_lock<std::mutex>& lock) {
  progress_.wait(lock, [this] { return !busy_ && (evicted_ == released_ || !failure_.ok()); });
}

void KvPager::Reset() {
  layers_.clear();
  pieces_.clear();
  wanted_ = begun_ = loaded_ = released_ = evicted_ = 0;
  in_window_bytes_ = 0;
}

Result<bool> KvPager::Begin(std::vector<KvLayer> layers) {
  const uint64_t start = Now();
  std::unique_lock lock(mutex_);
  WaitUntilIdle(lock);
  if (!failure_.ok()) return failure_;
  files_.clear();
  for (auto& [key, tensor] : tensors_) tensor.in_pass = false;
  Status status;
  for (const KvLayer& layer : layers) {
    for (const KvPart& part : layer) {
      const Key key{part.file, part.place.begin};
      Tensor& tensor = tensors_[key];
      tensor.place = part.place;
      // What is not used any more must not be taken for what stays.
      if (status.ok() && !Contains(part.pages, tensor.pages)) status = Trim(key, tensor, part.pages);
      tensor.pages = part.pages;
      tensor.in_pass = true;
      if (std::find(files_.begin(), files_.end(), part.file) == files_.end()) files_.push_back(part.file);
    }
  }
  uint64_t total = 0;
  for (const auto& [key, tensor] : tensors_) total += BytesOf(tensor.pages);

  if (total > ram_bytes_) {
    if (status.ok()) status = Plan(std::move(layers), total);
    work_.notify_all();
  } else {
    for (auto& [key, tensor] : tensors_) {
      // What an earlier pass kept of pages that are not in use any more.
      if (paging_ && status.ok()) status = Trim(key, tensor, tensor.pages);
      tensor.kept_bytes = BytesOf(tensor.pages);
    }
    paging_ = false;
    Reset();
  }
  wait_ns_ += Now() - start;
  if (status.ok()) return paging_;
  Fail(status);
  return status;
}

// Shares the memory: what stays of every tensor, and the window through which the rest passes.
Status KvPager::Plan(std::vector<KvLayer> layers, uint64_t total_bytes) {
  const bool complete = paging_ && released_ == layers_.size();
  const std::vector<Piece> before = std::move(pieces_);
  const size_t begun = complete ? begun_ - before.size() : 0;
  size_t loaded = loaded_ - std::min(loaded_, before.size());
  Reset();
  uint64_t pass_bytes = 0, largest = 0;
  for (const KvLayer& layer : layers) {
    pass_bytes += BytesOf(layer);
    largest = std::max(largest, BytesOf(layer));
  }
  // A sixteenth for page tables and what is read or written beside the plan. The window holds what does not stay of
  // the layer in use and a quarter as much of the next ones: reading takes longer than computing, so that the disk
  // hardly idles, and all else is better kept.
  const uint64_t usable = ram_bytes_ - ram_bytes_ / 16, window = largest + largest / 4;
  const uint64_t spare = usable - std::min(usable, window);
  const double others_share = static_cast<double>(spare) / static_cast<double>(total_bytes);
  uint64_t others_bytes = 0;
  for (auto& [key, tensor] : tensors_) {
    if (tensor.in_pass) continue;
    const PageRanges kept = KeptPages(tensor.pages, others_share);
    if (MuchMore(tensor.kept_bytes, BytesOf(kept))) HEADRACE_RETURN_IF_ERROR(Trim(key, tensor, kept));
    others_bytes += tensor.kept_bytes;
  }
  // kept = share * pass, window * (1 - share) for the rest, both together own.
  const uint64_t own = usable - std::min(usable, others_bytes);
  const double share = own > window && pass_bytes > window
                           ? static_cast<double>(own - window) / static_cast<double>(pass_bytes - window)
                           : 0;
  uint64_t kept_bytes = 0;
  for (KvLayer& parts : layers) {
    Layer& layer = layers_.emplace_back();
    layer.parts = std::move(parts);
    for (const KvPart& part : layer.parts) kept_bytes += BytesOf(layer.kept.emplace_back(KeptPages(part.pages, share)));
    CutPieces(layer);
  }
  window_bytes_ = own - std::min(own, kept_bytes);
  // What was read ahead and is still what is needed.
  while (begun_ < std::min(begun, pieces_.size()) && begun_ < before.size() &&
         pieces_[begun_].file == before[begun_].file && Contains(pieces_[begun_].pages, before[begun_].pages)) {
    // What grew is not loaded as a whole.
    if (pieces_[begun_].pages != before[begun_].pages) loaded = std::min(loaded, begun_);
    in_window_bytes_ += pieces_[begun_++].cold_bytes;
  }
  loaded_ = std::min(loaded, begun_);
  // Else: what is still being read cannot be given up.
  for (size_t i = std::max(begun_, loaded); i < std::min(begun, before.size()); ++i) {
    for (const PageRange& range : before[i].pages) HEADRACE_RETURN_IF_ERROR(before[i].file->Load(range));
  }
  for (size_t i = 0; i < layers_.size(); ++i) {
    const bool on_its_way = begun_ > (i == 0 ? 0 : layers_[i - 1].end);
    for (size_t number = 0; number < layers_[i].parts.size(); ++number) {
      const KvPart& part = layers_[i].parts[number];
      const Key key{part.file, part.place.begin};
      Tensor& tensor = tensors_[key];
      const PageRanges& kept = on_its_way ? part.pages : layers_[i].kept[number];
      if (MuchMore(tensor.kept_bytes, BytesOf(kept))) HEADRACE_RETURN_IF_ERROR(Trim(key, tensor, kept));
    }
  }
  paging_ = true;
  return {};
}

void KvPager::CutPieces(Layer& layer) {
  for (size_t i = 0; i < layer.parts.size(); ++i) {
    const KvPart& part = layer.parts[i];
    // What stays is loaded too: a pass of another kind may have sent it away. It is in the last pieces.
    uint64_t cold = BytesOf(part.pages) - BytesOf(layer.kept[i]);
    layer.cold_bytes += cold;
    uint64_t room = 0;
    for (const PageRange& range : part.pages) {
      for (uint64_t at = range.begin; at < range.end;) {
        if (room == 0) {
          pieces_.push_back({part.file, part.place.begin, {}, 0});
          room = kPieceBytes;
        }
        const uint64_t bytes = std::min(room, range.end - at);
        pieces_.back().pages.push_back({at, at + bytes});
        const uint64_t cold_here = std::min(cold, bytes);
        pieces_.back().cold_bytes += cold_here;
        cold -= cold_here;
        room -= bytes;
        at += bytes;
      }
    }
  }
  layer.end = pieces_.size();
}

bool KvPager::Loaded(size_t layer) {
  const std::lock_guard lock(mutex_);
  return loaded_ >= layers_[layer].end;
}

Status KvPager::Await(size_t layer) {
  const uint64_t start = Now();
  std::unique_lock lock(mutex_);
  wanted_ = layers_[layer].end;
  work_.notify_all();
  progress_.wait(lock, [&] { return loaded_ >= wanted_ || !failure_.ok(); });
  wait_ns_ += Now() - start;
  return failure_;
}

void KvPager::Release() {
  const std::lock_guard lock(mutex_);
  ++released_;
  work_.notify_all();
}

Status KvPager::End() {
  const std::lock_guard lock(mutex_);
  for (const KvFile* file : files_) {
    if (const Status written = file->CheckWritten(); !written.ok()) Fail(written);
  }
  return failure_;
}

void KvPager::SetRam(uint64_t ram_bytes) {
  const std::lock_guard lock(mutex_);
  ram_bytes_ = ram_bytes;
}

void KvPager::Forget(const KvFile* file) {
  std::unique_lock lock(mutex_);
  WaitUntilIdle(lock);
  std::erase_if(tensors_, [file](const auto& entry) { return entry.first.first == file; });
  if (std::find(files_.begin(), files_.end(), file) != files_.end()) {
    files_.clear();
    Reset();
  }
  if (tensors_.empty()) failure_ = {};
}

// Reading goes on into the next pass, up to the layers that this one has used already.
bool KvPager::MayRead() const {
  if (pieces_.empty()) return false;
  const size_t end = pieces_.size() + (evicted_ == 0 ? 0 : layers_[evicted_ - 1].end);
  if (begun_ >= end) return false;
  return begun_ < wanted_ || in_window_bytes_ + pieces_[begun_ % pieces_.size()].cold_bytes <= window_bytes_;
}

bool KvPager::HasWork() const { return failure_.ok() && (evicted_ < released_ || MayRead() || loaded_ < begun_); }

void KvPager::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return stop_ || HasWork(); });
    if (stop_) return;
    const bool awaited = loaded_ < begun_ && loaded_ < wanted_;
    if (!awaited && evicted_ < released_) {
      EvictLayer(lock);
    } else if (!awaited && MayRead()) {
      BeginPiece(lock);
    } else {
      LoadPiece(lock);
    }
    progress_.notify_all();
  }
}

void KvPager::EvictLayer(std::unique_lock<std::mutex>& lock) {
  const Layer& layer = layers_[evicted_];
  busy_ = true;
  lock.unlock();
  Status status;
  for (size_t i = 0; i < layer.parts.size(); ++i) {
    for (const PageRange& range : Without(layer.parts[i].place, layer.kept[i])) {
      if (status.ok()) status = layer.parts[i].file->Evict(range);
    }
  }
  lock.lock();
  busy_ = false;
  if (!status.ok()) Fail(status);
  ++evicted_;
  in_window_bytes_ -= std::min(in_window_bytes_, layer.cold_bytes);
  for (size_t i = 0; i < layer.parts.size(); ++i) {
    tensors_[{layer.parts[i].file, layer.parts[i].place.begin}].kept_bytes = BytesOf(layer.kept[i]);
  }
}

void KvPager::BeginPiece(std::unique_lock<std::mutex>& lock) {
  const Piece& piece = pieces_[begun_ % pieces_.size()];
  ++begun_;
  in_window_bytes_ += piece.cold_bytes;
  bytes_read_ += piece.cold_bytes;
  Tensor& tensor = tensors_[{piece.file, piece.tensor}];
  tensor.kept_bytes = BytesOf(tensor.pages);  // for the case that the pass ends before it is evicted
  busy_ = true;
  lock.unlock();
  for (const PageRange& range : piece.pages) piece.file->ReadAhead(range);
  lock.lock();
  busy_ = false;
}

void KvPager::LoadPiece(std::unique_lock<std::mutex>& lock) {
  const Piece& piece = pieces_[loaded_ % pieces_.size()];
  busy_ = true;
  lock.unlock();
  Status status;
  for (const PageRange& range : piece.pages) {
    if (status.ok()) status = piece.file->Load(range);
  }
  lock.lock();
  busy_ = false;
  if (!status.ok()) Fail(status);
  ++loaded_;
}

}  // namespace headrace
