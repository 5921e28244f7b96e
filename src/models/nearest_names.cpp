#include "models/nearest_names.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/letters.h"

namespace headrace {
namespace {

constexpr size_t kShown = 5;
constexpr size_t kLongest = 200;  // of a name, as far as it is compared

std::string Lower(std::string text) {
  if (text.size() > kLongest) text.resize(kLongest);
  return Lowered(std::move(text));
}

// The name alone: "org/Model-Q4.gguf:latest" is "model-q4".
std::string Core(std::string name) {
  name = Lower(std::move(name));
  name = name.substr(name.rfind('/') + 1);
  name = name.substr(0, name.find(':'));
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  return name;
}

// Levenshtein's.
size_t Distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string> NearestNames(const std::string& wanted, std::vector<std::string> names, size_t most) {
  const std::string whole = Lower(wanted), core = Core(wanted);
  const auto rank = [&](const std::string& name) {
    const std::string other = Core(name);
    const bool part = !core.empty() && (other.find(core) != std::string::npos || core.find(other) != std::string::npos);
    return std::tuple(other != core, !part, Distance(core, other), Distance(whole, Lower(name)), name);
  };
  std::vector<std::pair<decltype(rank("")), size_t>> order;
  for (size_t i = 0; i < names.size(); ++i) order.emplace_back(rank(names[i]), i);
  std::sort(order.begin(), order.end());
  std::vector<std::string> nearest;
  for (const auto& [unused, i] : order) {
    if (nearest.size() < most) nearest.push_back(std::move(names[i]));
  }
  return nearest;
}

std::string NearestText(const std::string& wanted, const std::vector<std::string>& names) {
  if (names.empty()) return "";
  if (names.size() == 1) return fmt::format("; there is only {}", names.front());
  const auto nearest = NearestNames(wanted, names, kShown);
  if (names.size() <= kShown) return fmt::format("; there are {}", fmt::join(nearest, ", "));
  return fmt::format("; the nearest of {}: {}", names.size(), fmt::join(nearest, ", "));
}

}  // namespace headrace
