// How Hugging Face's hub, its cache and llama.cpp's -hf name models. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace headrace {

// "USER/NAME" that may become a part of a path.
bool IsRepositoryName(const std::string& name);
// "USER/NAME:QUANTIZATION" in its two parts, the second "" without a colon.
std::pair<std::string, std::string> SplitTag(const std::string& repository);

// "models--USER--NAME", as the cache calls the folder of "USER/NAME"; and back, "" for what is no such folder.
std::string HubFolderName(const std::string& repository);
std::string HubRepositoryOf(const std::string& folder_name);

// Of a repository's GGUF files the model that llama.cpp takes, of a split one the first part: the one called `file`,
// else the first of this quantization, else of Q4_K_M, Q8_0, else the first. "" when there is none.
std::string ChooseModelFile(const std::vector<std::string>& files, const std::string& quantization,
                            const std::string& file);
// Those that could be the projector of `model`: in its folder or one around it.
std::vector<std::string> ProjectorFiles(const std::vector<std::string>& files, const std::string& model);

std::string Replaced(std::string text, std::string_view what, std::string_view with);

}  // namespace headrace
