#include "models/hub_client.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "base/json.h"
#include "base/letters.h"
#include "base/shown.h"
#include "models/file_names.h"
#include "models/ranged_download.h"
#include "models/sha256.h"

namespace headrace {
namespace {

constexpr size_t kVersionDigits = 40, kLongestPart = 200, kLongestPath = 1000;
constexpr int kMostPages = 1000;
constexpr size_t kMostFiles = 100'000;

Status Explained(const HttpRequest& request, const std::string& endpoint, const std::string& repository,
                 const HttpAccess& access) {
  const std::string page = endpoint + "/" + repository;
  switch (request.code()) {
    case 401:
    case 403:
      return Status(Code::kPermission,
                    access.token.empty() ? fmt::format("{} does not exist, or access to it is restricted ({}): set "
                                                       "HF_TOKEN to your token, and accept the conditions on its page",
                                                       page, request.code())
                                         : fmt::format("the token in HF_TOKEN does not give access to {} ({}): check "
                                                       "the token, and accept the conditions on that page",
                                                       page, request.code()));
    case 404:
      return Status(Code::kNotFound, fmt::format("{}: there is no such repository (404); check the spelling", page));
    default:
      return RefusalStatus(request, page);
  }
}

Result<Json> Ask(const std::string& url, const std::string& endpoint, const std::string& repository,
                 const HttpAccess& access, const std::function<bool()>& go_on, std::string* next) {
  HttpRequest request({url}, access);
  HEADRACE_RETURN_IF_ERROR(request.Perform(go_on));
  if (request.code() != 200) return Explained(request, endpoint, repository, access);
  auto json = ParseJson(request.body());
  if (!json.ok()) return Status(Code::kIo, fmt::format("{}: the answer is not JSON: {}", url, json.status().message()));
  // Link: <https://...>; rel="next"
  const std::string link = request.Header("link");
  const size_t end = link.find(">; rel=\"next\"");
  if (next != nullptr) *next = end == std::string::npos || !link.starts_with('<') ? "" : link.substr(1, end - 1);
  return json;
}

// In a URL; slashes stay.
std::string Escaped(const std::string& path) {
  std::string text;
  for (const unsigned char c : path) {
    if (std::isalnum(c) != 0 || std::string_view("-._~/").find(static_cast<char>(c)) != std::string_view::npos) {
      text += static_cast<char>(c);
    } else {
      text += fmt::format("%{:02X}", c);
    }
  }
  return text;
}

}  // namespace

bool IsSafePath(const std::string& path) {
  if (path.empty() || path.size() > kLongestPath) return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part.empty() || part.starts_with('.') || part.size() > kLongestPart) return false;
    begin = end + 1;
  }
  return path.find('\\') == std::string::npos && NameAsText(path) == path;
}

std::string HubFileUrl(const std::string& endpoint, const std::string& repository, const std::string& commit,
                       const std::string& path) {
  return fmt::format("{}/{}/resolve/{}/{}", endpoint, repository, commit, Escaped(path));
}

Result<HubListing> ListRepository(const std::string& endpoint, const std::string& repository, const HttpAccess& access,
                                  const std::function<bool()>& go_on) {
  const std::string api = fmt::format("{}/api/models/{}", endpoint, repository);
  const auto about = Ask(api + "/revision/main", endpoint, repository, access, go_on, nullptr);
  if (!about.ok()) return about.status();
  HubListing listing;
  listing.commit = TextOf(*about, "sha");
  const auto is_digit = [](unsigned char c) { return std::isxdigit(c) != 0; };
  if (listing.commit.size() != kVersionDigits || !std::all_of(listing.commit.begin(), listing.commit.end(), is_digit)) {
    return Status(Code::kIo, fmt::format("{}: the answer names no version: \"{}\"", api, Shown(listing.commit)));
  }
  std::string url = fmt::format("{}/tree/{}?recursive=true", api, listing.commit), next;
  for (int page = 0; !url.empty() && page < kMostPages; ++page, url = next) {
    const auto tree = Ask(url, endpoint, repository, access, go_on, &next);
    if (!tree.ok()) return tree.status();
    if (!tree->is_array()) return Status(Code::kIo, url + ": the answer is not a list of files");
    for (const Json& file : *tree) {
      const std::string path = TextOf(file, "path");
      if (TextOf(file, "type") != "file" || !EndsIgnoringCase(path, ".gguf") || !IsSafePath(path) ||
          listing.models.size() >= kMostFiles)
        continue;
      const Json* lfs = FindMember(file, "lfs");
      const std::string sha256 = lfs == nullptr ? "" : TextOf(*lfs, "oid");
      listing.models.push_back({path, CountOf(file, "size"), IsSha256(sha256) ? sha256 : ""});
    }
  }
  std::sort(listing.models.begin(), listing.models.end(),
            [](const HubFile& a, const HubFile& b) { return a.path < b.path; });
  return listing;
}

}  // namespace headrace
