#include "exec/expert_stacks.h"

#include <string_view>

namespace headrace {
namespace {

// Whether `name` is something, a dot and `stack`.
bool IsNameOfCache(std::string_view name, std::string_view stack) {
  return !stack.empty() && name.size() > stack.size() + 1 && name.ends_with(stack) &&
         name[name.size() - stack.size() - 1] == '.';
}

}  // namespace

void ExpertStacks::Add(const ggml_tensor& stack) {
  const std::lock_guard lock(mutex_);
  std::erase_if(stacks_, [&](const auto& known) { return known->data == stack.data; });
  stacks_.push_back(std::make_shared<const ggml_tensor>(stack));
}

void ExpertStacks::Remove(const void* address, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  std::erase_if(stacks_, [&](const auto& stack) { return LiesIn(*stack, address, bytes); });
}

std::shared_ptr<const ggml_tensor> ExpertStacks::KeptIn(const ggml_tensor& cache) const {
  const std::string_view name(cache.name);
  std::shared_ptr<const ggml_tensor> found;
  const std::lock_guard lock(mutex_);
  for (const auto& stack : stacks_) {
    if (stack->type != cache.type || stack->ne[0] != cache.ne[0] || stack->ne[1] != cache.ne[1] ||
        !IsNameOfCache(name, stack->name))
      continue;
    if (found != nullptr) return nullptr;
    found = stack;
  }
  return found;
}

}  // namespace headrace
