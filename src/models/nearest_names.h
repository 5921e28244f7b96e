// Which of the names that there are somebody may have meant. Pure.
#pragma once

#include <string>
#include <vector>

namespace headrace {

// At most `most` of `names`, the nearest first. Capitals, folders or an owner before the name, ".gguf" and a tag
// (":latest") behind it make no difference; otherwise so many letters as had to be changed, added or left out.
std::vector<std::string> NearestNames(const std::string& wanted, std::vector<std::string> names, size_t most);

// For the end of a message: "; there is only A", "; the nearest of 12 are A, B and C"; "" where there is none.
std::string NearestText(const std::string& wanted, const std::vector<std::string>& names);

}  // namespace headrace
