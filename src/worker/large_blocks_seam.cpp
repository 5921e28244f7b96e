// operator new and delete of a worker's process: the engine's server receives messages into vectors.
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "worker/large_blocks.h"

#define HEADRACE_SEAM __attribute__((visibility("default")))

namespace headrace {
namespace {

std::atomic<LargeBlocks*> g_blocks = nullptr;
void (*g_changed)() = nullptr;
void (*g_refuse)(uint64_t bytes) = nullptr;

void* NewBlock(size_t size) {
  LargeBlocks* const blocks = size >= LargeBlocks::kLarge ? g_blocks.load() : nullptr;
  if (blocks != nullptr) {
    if (!blocks->Take(size)) g_refuse(size);
    g_changed();
  }
  void* const block = std::malloc(size > 0 ? size : 1);
  if (block == nullptr) {
    if (g_blocks.load() != nullptr) g_refuse(size);
    throw std::bad_alloc();
  }
  if (blocks != nullptr) blocks->Keep(block, size);
  return block;
}

void DeleteBlock(void* block) {
  LargeBlocks* const blocks = g_blocks.load();
  const bool large = blocks != nullptr && block != nullptr && malloc_usable_size(block) >= LargeBlocks::kLarge;
  if (large) blocks->GiveBack(block);
  std::free(block);
  if (large) g_changed();
}

}  // namespace

void CountLargeBlocks(LargeBlocks& blocks, void (*changed)(), void (*refuse)(uint64_t bytes)) {
  // What was freed is the system's again at once, so that what is counted is what there is.
  mallopt(M_MMAP_THRESHOLD, static_cast<int>(LargeBlocks::kLarge));
  g_changed = changed;
  g_refuse = refuse;
  g_blocks = &blocks;
}

}  // namespace headrace

HEADRACE_SEAM void* operator new(size_t size) { return headrace::NewBlock(size); }
HEADRACE_SEAM void* operator new[](size_t size) { return headrace::NewBlock(size); }
HEADRACE_SEAM void operator delete(void* block) noexcept { headrace::DeleteBlock(block); }
HEADRACE_SEAM void operator delete[](void* block) noexcept { headrace::DeleteBlock(block); }
HEADRACE_SEAM void operator delete(void* block, size_t) noexcept { headrace::DeleteBlock(block); }
HEADRACE_SEAM void operator delete[](void* block, size_t) noexcept { headrace::DeleteBlock(block); }
