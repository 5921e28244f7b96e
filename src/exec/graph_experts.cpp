#include "exec/graph_experts.h"

#include <algorithm>
#include <numeric>
#include <thread>

#include "base/clock.h"
#include "base/size.h"

namespace headrace {
namespace {

bool IsFree(const GgmlApi& api, const ggml_tensor& node) {
  return (node.op == api.op.view || node.op == api.op.reshape || node.op == api.op.permute ||
          node.op == api.op.transpose) &&
         api.Computes(node);
}

// This thread's share of so many rows, in whole row groups.
SlotProduct::Rows ShareOf(uint64_t rows, int thread, int threads) {
  const uint64_t groups = (rows + kRowGroup - 1) / kRowGroup;
  const auto t = static_cast<uint64_t>(thread), n = static_cast<uint64_t>(threads);
  const uint64_t begin = std::min(rows, groups * t / n * kRowGroup),
                 end = std::min(rows, groups * (t + 1) / n * kRowGroup);
  return {begin, end - begin};
}

// Waits until the value is another one. Sleeping threads are woken one after the other, tens of microseconds each on
// virtual machines: with 16 threads that costs more than what they wait for. So they give way to whoever else wants the
// processor, the thread that reads first of all, and sleep only when the disk takes longer than usual.
uint32_t AwaitChange(const std::atomic<uint32_t>& value, uint32_t known) {
  constexpr uint64_t kAwakeNs = 10'000'000;
  const uint64_t start = Now();
  do {
    if (const uint32_t now = value.load(std::memory_order_acquire); now != known) return now;
    std::this_thread::yield();
  } while (Now() - start < kAwakeNs);
  value.wait(known);
  return value;
}

}  // namespace

bool GraphExperts::Fit(ggml_backend_sched_t sched, ggml_cgraph* graph) {
  layers_.clear();
  for (ExpertUse& use : pass_.plan.uses) {
    const Takeover& first = pass_.plan.takeovers[use.first];
    if (use.way != ExpertUse::Way::kCached) return false;
    const ggml_tensor* const made_by = use.ids->view_src != nullptr ? use.ids->view_src : use.ids;
    auto layer = std::make_unique<Layer>();
    layer->use = &use;
    layer->begins_at = first.at;
    for (int i = first.at - 1; i >= 0; --i) {
      ggml_tensor* const node = api_.graph_node(graph, i);
      if (node == made_by || api_.backend_sched_get_tensor_backend(sched, node) != first.backend) break;
      if (!IsFree(api_, *node)) continue;
      layer->free_node = node;  // the first of them: reads begin early
      layer->begins_at = i;
    }
    layers_.push_back(std::move(layer));
  }
  return true;
}

// In which the cache holds the product's experts once they have been multiplied. Null: the file's.
const PackedLayout* GraphExperts::LayoutOf(const Takeover& takeover) const {
  return choice_.LayoutInCache(takeover.weight->tensor.type, takeover.weight->packed);
}

void GraphExperts::Prepare(size_t index, size_t most_pieces) {
  Layer& layer = *layers_[index];
  const ExpertUse& use = *layer.use;
  layer.ids = *use.ids;
  layer.ids.view_src = nullptr;
  layer.slots.assign(static_cast<size_t>(use.per_token * use.tokens), 0);
  layer.ids.data = layer.slots.data();
  layer.ids.nb[0] = sizeof(int32_t);
  layer.ids.nb[1] = sizeof(int32_t) * static_cast<size_t>(use.per_token);
  layer.ids.nb[2] = layer.ids.nb[3] = sizeof(int32_t) * layer.slots.size();
  layer.weights.clear();
  for (size_t i = use.first; i <= use.last; ++i) {
    Takeover& takeover = pass_.plan.takeovers[i];
    if (takeover.experts != &use) continue;
    changes_.Restore(takeover.node);
    const ggml_tensor& file = *takeover.node->src[0];
    ggml_tensor& weight = layer.weights.emplace_back(TileOf(api_, file, file.ne[1], file.data, LayoutOf(takeover)));
    weight.ne[2] = std::min<int64_t>(SlotProduct::kMostSlots, pass_.slots(use));
    changes_.UseWeight(takeover.node, &weight, &layer.ids);
    takeover.by_engine = true;
  }
  layer.foreseen = pass_.BeginForesight(use, most_pieces, layer.foresight);
  layer.next_piece = 0;
  layer.unfinished = (layer.foreseen != nullptr ? layer.foresight.pieces() : 0) + 1;
}

// Where all experts are in memory, in slots of one array, and repacked if they are to be.
bool GraphExperts::MakeOrdinary(Layer& layer, Takeover& takeover) {
  const ExpertUse& use = *layer.use;
  if (use.way != ExpertUse::Way::kCached) return false;
  std::vector<size_t> all(use.cached.size());
  std::iota(all.begin(), all.end(), size_t{0});
  for (const size_t i : all) {
    if (use.cached.data(i, takeover.slice) == nullptr) return false;
    if (LayoutOf(takeover) != nullptr && !use.cached.converted(i, takeover.slice)) return false;
  }
  const auto groups = GroupBySlots(use, takeover.slice, all);
  if (groups.size() != 1 || groups[0].slots.count > SlotProduct::kMostSlots) return false;
  for (const SlotProduct::Chosen& expert : groups[0].chosen) {
    for (const ExpertPair& pair : expert.pairs)
      layer.slots[static_cast<size_t>(pair.token * use.per_token + pair.use)] = static_cast<int32_t>(expert.slot);
  }
  ggml_tensor& weight = layer.weights[takeover.slice];
  const SlotArray& slots = groups[0].slots;
  weight.data = const_cast<uint8_t*>(slots.first);
  weight.ne[2] = slots.count;
  weight.nb[2] = slots.stride;
  weight.nb[3] = slots.stride * slots.count;
  changes_.Restore(takeover.node);
  changes_.UseWeight(takeover.node, &weight, &layer.ids);
  takeover.by_engine = true;
  return true;
}

Status GraphExperts::Begin(size_t index, std::vector<size_t>& late) {
  Layer& layer = *layers_[index];
  const ExpertUse& use = *layer.use;
  HEADRACE_RETURN_IF_ERROR(pass_.BeginExperts(pass_.plan.takeovers[use.first]));
  for (size_t i = use.first; i <= use.last; ++i) {
    Takeover& takeover = pass_.plan.takeovers[i];
    if (takeover.experts != &use || (i == use.first && layer.free_node == nullptr))
      continue;  // the last begins the layer
    if (!MakeOrdinary(layer, takeover)) late.push_back(i);
  }
  return {};
}

void GraphExperts::LookAhead(size_t index, int thread, Worker* worker) {
  Layer& layer = *layers_[index];
  size_t done = thread == 0 ? 1 : 0;  // the beginning
  if (layer.foreseen != nullptr && worker != nullptr) {
    for (size_t piece = layer.next_piece++; piece < layer.foresight.pieces(); piece = layer.next_piece++, ++done) {
      layer.foresight.Multiply(piece, worker->product(), worker->backend());
    }
  }
  if (done == 0 || layer.unfinished.fetch_sub(done) != done || layer.foreseen == nullptr || !layer.use->begun) return;
  pass_.ReadForeseen(*layer.foreseen, layer.foresight);
}

void GraphExperts::BeginWork(const Takeover& takeover, int threads) {
  batches_.led.clear();
  batches_.groups.resize(takeover.experts->cached.size());
  batches_.published = 0;
  repacked_.clear();
  readers_.resize(0);
  for (size_t i = 0; i < takeover.segments.size(); ++i) readers_.emplace_back(threads);
}

void GraphExperts::EndWork(const Takeover& takeover) {
  const ExpertUse& use = *takeover.experts;
  pass_.account().times.packed_bytes += repacked_.size() * takeover.weight->tensor.nb[2];
  Layer& layer = *layers_[layer_of(use)];
  for (size_t i = pass_.turn(); i <= use.last; ++i) {
    Takeover& later = pass_.plan.takeovers[i];
    if (later.experts == &use && !later.by_engine) MakeOrdinary(layer, later);
  }
}

void GraphExperts::GiveUpWork(const Takeover& takeover) {
  for (const size_t i : repacked_) takeover.experts->cached.Spoil(i);
}

// Some rows of one expert, where they are.
void GraphExperts::Repack(const Takeover& takeover, uint8_t* expert, SlotProduct::Rows rows, Worker& worker) const {
  const ggml_tensor& weight = takeover.weight->tensor;
  const std::span scratch = worker.Scratch(kRowGroup * weight.nb[1]);
  for (uint64_t row = 0; row < rows.count; row += kRowGroup) {
    const uint64_t count = std::min<uint64_t>(kRowGroup, rows.count - row);
    uint8_t* const place = expert + (rows.first + row) * weight.nb[1];
    PackRows(api_, weight, static_cast<int64_t>(count), place, scratch.data(), *LayoutOf(takeover));
    std::copy_n(scratch.data(), count * weight.nb[1], place);
  }
}

Status GraphExperts::MultiplyGroups(const Takeover& takeover, const std::vector<SlotGroup>& groups,
                                    SlotProduct::Rows rows, Worker& worker) {
  if (rows.count == 0) return {};
  for (const SlotGroup& group : groups) {
    for (uint8_t* const expert : group.unpacked) Repack(takeover, expert, rows, worker);
    const std::span scratch = worker.Scratch(SlotProduct::ScratchBytes(*takeover.node, group.pairs));
    HEADRACE_RETURN_IF_ERROR(CheckProduct(worker.slots().Multiply(worker.backend(), *takeover.node, group.slots,
                                                                  LayoutOf(takeover), group.chosen, rows, scratch),
                                          *takeover.weight));
  }
  return {};
}

// They count as repacked from now on: each thread repacks its rows of them before it multiplies.
void GraphExperts::FindUnpacked(ExpertCache::Pins& pins, size_t slice, std::vector<SlotGroup>& groups) {
  for (SlotGroup& group : groups) {
    for (const size_t i : group.members) {
      if (pins.converted(i, slice)) continue;
      repacked_.push_back(i);
      group.unpacked.push_back(pins.Convert(i, slice));
    }
  }
}

// Tells the others which experts have arrived, those that were there first.
Status GraphExperts::Lead(const Takeover& takeover, SlotProduct::Rows rows, Worker& worker, uint64_t& wait_ns) {
  ExpertUse& use = *takeover.experts;
  uint32_t count = 0;
  const Status status =
      AsTheyArrive(use.cached, takeover.slice, wait_ns, [&](std::span<const size_t> ready, bool last) {
        batches_.groups[count] = GroupBySlots(use, takeover.slice, ready);
        if (LayoutOf(takeover) != nullptr) FindUnpacked(use.cached, takeover.slice, batches_.groups[count]);
        batches_.published = ++count | (last ? Batches::kAll : 0);
        batches_.published.notify_all();
        return MultiplyGroups(takeover, batches_.groups[count - 1], rows, worker);
      });
  batches_.published = count | Batches::kAll;
  batches_.published.notify_all();
  return status;
}

// Rows of one expert that came through the ring, of which `data` has those from `first_row` on; `part` of them.
Status GraphExperts::MultiplyStreamed(const Takeover& takeover, const SlotProduct::Chosen& expert, const uint8_t* data,
                                      uint64_t first_row, SlotProduct::Rows part, Worker& worker) const {
  const PackedLayout* const layout = LayoutOf(takeover);
  const ggml_tensor& weight = takeover.weight->tensor;
  const uint64_t row_bytes = weight.nb[1], step = layout != nullptr ? kRowGroup : part.count,
                 packing = layout != nullptr ? step * row_bytes : 0;
  const std::span scratch = worker.Scratch(packing + SlotProduct::ScratchBytes(*takeover.node, expert.pairs.size()));
  for (uint64_t row = 0; row < part.count; row += step) {
    const uint64_t count = std::min(step, part.count - row);
    const uint8_t* rows = data + (part.first + row) * row_bytes;
    if (layout != nullptr) {
      PackRows(api_, weight, static_cast<int64_t>(count), rows, scratch.data(), *layout);
      rows = scratch.data();
    }
    const uint64_t in_expert = first_row + part.first + row;
    const SlotArray slot{rows - in_expert * row_bytes, weight.nb[2], 1};
    HEADRACE_RETURN_IF_ERROR(
        CheckProduct(worker.slots().Multiply(worker.backend(), *takeover.node, slot, layout, {&expert, 1},
                                             {in_expert, count}, scratch.subspan(packing)),
                     *takeover.weight));
  }
  return {};
}

Status GraphExperts::Work(const Takeover& takeover, int thread, int threads, Worker& worker, uint64_t& wait_ns) {
  const ExpertUse& use = *takeover.experts;
  const auto matrix = static_cast<uint64_t>(takeover.weight->tensor.ne[1]);
  const SlotProduct::Rows share = ShareOf(matrix, thread, threads);
  if (!batches_.led.test_and_set()) {
    HEADRACE_RETURN_IF_ERROR(Lead(takeover, share, worker, wait_ns));
  } else {
    uint32_t done = 0;
    while (true) {
      const uint32_t published = AwaitChange(batches_.published, done);
      const uint32_t count = published & ~Batches::kAll;
      for (; done < count; ++done)
        HEADRACE_RETURN_IF_ERROR(MultiplyGroups(takeover, batches_.groups[done], share, worker));
      if ((published & Batches::kAll) != 0) break;
    }
  }
  // What came through the ring, because the cache had no room for all experts of this pass.
  for (size_t i = 0; i < takeover.segments.size(); ++i) {
    const SegmentRows& segment = takeover.segments[i];
    const SlotProduct::Rows part = ShareOf(segment.rows, thread, threads);
    if (part.count > 0) {
      const auto arrival = pass_.Await(takeover, i, segment.rows * takeover.weight->cut.row_bytes, wait_ns);
      if (!arrival.ok()) return arrival.status();
      const uint64_t in_matrix = segment.first_row % matrix;
      const SlotProduct::Chosen expert{0, use.choice.pairs(static_cast<uint32_t>(segment.first_row / matrix))};
      HEADRACE_RETURN_IF_ERROR(MultiplyStreamed(takeover, expert, arrival->data, in_matrix, part, worker));
    }
    if (--readers_[i] == 0) pass_.prefetcher().Release(takeover.first_segment + i);
  }
  return {};
}

}  // namespace headrace
