#include "models/hub_client.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "base/json.h"
#include "base/letters.h"
#include "base/shown.h"
#include "models/file_names.h"
#include "models/hub_names.h"
#include "models/ranged_download.h"
#include "models/sha256.h"

namespace headrace {
namespace {

constexpr const char* kHubAddress = "https://huggingface.co";
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

std::string ValueOf(const Getenv& getenv, const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

// In a URL; what is in `kept` stays, as do letters and digits.
std::string Escaped(const std::string& path, std::string_view kept) {
  std::string text;
  for (const unsigned char c : path) {
    if (std::isalnum(c) != 0 || kept.find(static_cast<char>(c)) != std::string_view::npos) {
      text += static_cast<char>(c);
    } else {
      text += fmt::format("%{:02X}", c);
    }
  }
  return text;
}

}  // namespace

Result<Hub> HubOf(const Getenv& getenv, const std::string& agent) {
  Hub hub;
  hub.endpoint = ValueOf(getenv, "HF_ENDPOINT");
  if (hub.endpoint.empty()) hub.endpoint = kHubAddress;
  while (hub.endpoint.ends_with('/')) hub.endpoint.pop_back();
  hub.access.agent = agent;
  hub.access.origin = OriginOf(hub.endpoint);
  if (hub.access.origin.empty())
    return Status(Code::kInvalidArgument,
                  fmt::format("HF_ENDPOINT is not an http or https address; write one like {}", kHubAddress));
  hub.access.token = ValueOf(getenv, "HF_TOKEN");
  const auto& token = hub.access.token;
  if (std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; })) return hub;
  return Status(Code::kInvalidArgument, "HF_TOKEN has blanks, line breaks or other characters that no token has");
}

Result<std::vector<HubRepository>> SearchHub(const Hub& hub, const std::string& words,
                                             const std::function<bool()>& go_on) {
  const std::string url = fmt::format("{}/api/models?search={}&filter=gguf&sort=downloads&direction=-1&limit={}",
                                      hub.endpoint, Escaped(words, "-._~"), kMostFound);
  HttpRequest request({url}, hub.access);
  HEADRACE_RETURN_IF_ERROR(request.Perform(go_on));
  if (request.code() != 200) return RefusalStatus(request, hub.endpoint);
  const auto found = ParseJson(request.body());
  if (!found.ok() || !found->is_array()) return Status(Code::kIo, url + ": the answer is not a list of repositories");
  std::vector<HubRepository> repositories;
  for (const Json& each : *found) {
    HubRepository repository{TextOf(each, "id"), CountOf(each, "downloads"), CountOf(each, "likes"), false};
    const Json* gated = FindMember(each, "gated");  // false, "auto" or "manual"
    repository.gated = gated != nullptr && *gated != false;
    if (IsRepositoryName(repository.name) && repositories.size() < kMostFound)
      repositories.push_back(std::move(repository));
  }
  return repositories;
}

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
  return fmt::format("{}/{}/resolve/{}/{}", endpoint, repository, commit, Escaped(path, "-._~/"));
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
