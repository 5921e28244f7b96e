// Takes a model out of the hub's cache, where `headrace pull` has put it. Nothing outside of that folder is touched.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace headrace {

// Whether a model's path is one of that cache: HUB/models--USER--NAME/snapshots/VERSION/FILE. Pure.
bool IsInHub(const std::string& hub_folder, const std::string& path);

// Removes a model, with all its parts, from every version of its repository that has the same content, and folders that
// are empty then. The bytes that became free; a program that has the file open keeps them until it ends. Errors:
// kPermission for what is not in the cache, or leads out of it, kIo.
Result<uint64_t> RemoveHubModel(const std::string& hub_folder, const std::string& path);

}  // namespace headrace
