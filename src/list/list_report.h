// What `headrace list` says, for people and as JSON. Pure.
#pragma once

#include <string>
#include <vector>

#include "list/outlook.h"

namespace headrace::list {

// A row for each model; below it a line for each that cannot be used, and one about the memory they were judged by.
std::string RenderListText(const std::vector<ListedModel>& models, uint64_t memory_bytes);
// {"memory_bytes": N, "models": [...]}. Sizes in bytes, speeds per second; unknown numbers are null. The keys are
// stable.
std::string RenderListJson(const std::vector<ListedModel>& models, uint64_t memory_bytes);

}  // namespace headrace::list
