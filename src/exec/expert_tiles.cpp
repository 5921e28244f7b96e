#include "exec/expert_tiles.h"

#include <algorithm>

#include "base/clock.h"
#include "base/size.h"

namespace headrace {
namespace {

constexpr uint64_t kTileBytes = 512 * kKiB;

}  // namespace

void ExpertTiles::Begin(const Takeover& takeover, int threads) {
  takeover_ = &takeover;
  const ExpertUse& use = *takeover.experts;
  const Weight& weight = *takeover.weight;
  items_.clear();
  failed_ = false;
  for (size_t pin = 0; pin < use.cached.size(); ++pin) items_.push_back({use.cached.expert(pin), pin, Item::State::kAbsent, nullptr, 0});
  for (const uint32_t expert : use.streamed) {
    const auto* data = static_cast<const uint8_t*>(weight.tensor.data) + expert * weight.tensor.nb[2];
    items_.push_back({expert, kNoPin, Item::State::kReady, data, 0});
  }
  const auto matrix = static_cast<uint64_t>(weight.tensor.ne[1]), n = static_cast<uint64_t>(threads);
  const uint64_t share = AlignUp((matrix * items_.size() + n - 1) / n, kRowGroup);
  tile_rows_ = std::clamp(AlignDown(kTileBytes / weight.cut.row_bytes, kRowGroup), kRowGroup, std::max(kRowGroup, share));
}

// Sets the job, or leaves it empty: then all that is left is absent (`absent` has the pins), or being converted, or there is nothing left (false).
bool ExpertTiles::Take(Job& job, std::vector<size_t>& absent) {
  const ExpertUse& use = *takeover_->experts;
  const auto matrix = static_cast<uint64_t>(takeover_->weight->tensor.ne[1]);
  job = {};
  absent.clear();
  bool converting = false;
  for (Item& item : items_) {
    if (item.state == Item::State::kAbsent) {
      const uint8_t* data = use.cached.data(item.pin, takeover_->slice);
      if (data == nullptr) {
        absent.push_back(item.pin);
        continue;
      }
      if (converts() && !use.cached.converted(item.pin, takeover_->slice)) {
        item.state = Item::State::kConverting;
        job = {&item, true, 0, 0};
        return true;
      }
      item.state = Item::State::kReady;
      item.data = data;
    }
    converting = converting || item.state == Item::State::kConverting;
    if (item.state != Item::State::kReady || item.next_row == matrix) continue;
    job = {&item, false, item.next_row, std::min(tile_rows_, matrix - item.next_row)};
    item.next_row += job.rows;
    return true;
  }
  return converting || !absent.empty();
}

Status ExpertTiles::Work(Worker& worker, uint64_t& wait_ns) {
  Job job;
  std::vector<size_t> absent;
  std::unique_lock lock(mutex_);
  while (!failed_ && Take(job, absent)) {
    Status status;
    if (job.item == nullptr && absent.empty()) {
      converted_.wait(lock);
      continue;
    }
    lock.unlock();
    if (job.item == nullptr) {
      const uint64_t start = Now();
      status = takeover_->experts->cached.WaitForAny(takeover_->slice, absent);
      wait_ns += Now() - start;
    } else {
      status = job.convert ? Convert(*job.item, worker) : Multiply(job, worker);
    }
    lock.lock();
    if (!status.ok()) {
      failed_ = true;
      converted_.notify_all();
      return status;
    }
    if (!job.convert) continue;
    job.item->data = takeover_->experts->cached.data(job.item->pin, takeover_->slice);
    job.item->state = Item::State::kReady;
    converted_.notify_all();
  }
  return {};
}

Status ExpertTiles::Convert(Item& item, Worker& worker) {
  ExpertCache::Pins& cached = takeover_->experts->cached;
  const Weight& weight = *takeover_->weight;
  const auto scratch = worker.Scratch(kRowGroup * weight.cut.row_bytes);
  const Status packed = CheckProduct(worker.expert_product().PackInPlace(worker.backend(), weight.tensor, cached.Convert(item.pin, takeover_->slice),
                                                                         weight.packed, scratch), weight);
  if (!packed.ok()) cached.Spoil(item.pin);
  const std::lock_guard lock(mutex_);
  pass_.account().times.packed_bytes += weight.tensor.nb[2];
  return packed;
}

Status ExpertTiles::Multiply(const Job& job, Worker& worker) {
  const ExpertUse& use = *takeover_->experts;
  const Weight& weight = *takeover_->weight;
  const auto pairs = use.choice.pairs(job.item->expert);
  const bool pack = choice_.PackExpert(weight.tensor.type, use.tokens, static_cast<int64_t>(pairs.size()));
  const bool packed = job.item->pin != kNoPin && use.cached.converted(job.item->pin, takeover_->slice);
  const ExpertRows work{job.first_row, job.rows, job.item->data + job.first_row * weight.cut.row_bytes, pairs, pack ? weight.packed : nullptr, packed};
  const auto scratch = worker.Scratch(ExpertProduct::ScratchBytes(*takeover_->node, static_cast<int64_t>(pairs.size())));
  return CheckProduct(worker.expert_product().Multiply(worker.backend(), *takeover_->node, {&work, 1}, scratch), weight);
}

}  // namespace headrace
