// What the names of model files say. Pure.
#pragma once

#include <string>
#include <string_view>

namespace headrace {

// What is behind the last slash.
std::string LastName(const std::string& path);

// A file's name, or path, without ".gguf" in small or capital letters.
std::string WithoutModelSuffix(std::string path);
// The same for the whole model: of a part of a split one without "-00001-of-00003" too.
std::string ModelStem(const std::string& path);

// Whether a file of this name (no path) is a model, or its first part: ends with ".gguf" in any letters. "._x.gguf",
// which macOS writes beside a file on a foreign disk, is none.
bool IsModelFileName(const std::string& name);
// Projectors, importance matrices and draft heads: GGUF files that belong to a model. By llama.cpp's rule, of the name
// alone.
bool IsBesideModel(const std::string& path);
bool IsProjectorName(const std::string& path);

// What a file's name says of its weights' type: "Q4_K_M", "UD-Q4_K_XL", "BF16"; "" when it says nothing.
std::string QuantizationIn(const std::string& path);

// A file's name as text that can be written in JSON and shown: what is no UTF-8, and control characters, as %0A.
std::string NameAsText(const std::string& name);

}  // namespace headrace
