// How the engine's server in a worker's process opens files of its cache: the functions of libc that it finds first.
#pragma once

#include "worker/large_blocks.h"
#include "worker/weight_cache.h"

namespace headrace {

// From now on the process's server looks into `cache` through it. What it writes is at most as large as all of
// `blocks`. Both outlive the process's threads.
void WatchCache(const WeightCache& cache, const LargeBlocks& blocks);

}  // namespace headrace
