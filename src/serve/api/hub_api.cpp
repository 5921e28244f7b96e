#include "serve/api/hub_api.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "base/free_space.h"
#include "base/shown.h"
#include "base/size.h"
#include "http/events.h"
#include "http/json_fields.h"
#include "models/file_names.h"
#include "models/hub_names.h"
#include "models/hub_removal.h"
#include "models/model_names.h"
#include "models/places.h"
#include "models/pull_source.h"
#include "serve/api/ollama_pull.h"

namespace headrace::serve {
namespace {

constexpr Millis kDownloadLook{250};
constexpr size_t kLongestQuery = 200;

const char* HubVariable(const char* name) { return std::getenv(name); }

// Of a question to the hub: a hub that fails is no fault of this server.
Reply HubRefusal(const Status& status) {
  return status.code() == Code::kIo ? ErrorReply(502, status.message()) : ErrorReply(status);
}

Reply PullError(const Status& status) {
  return status.code() == Code::kOutOfBudget ? ErrorReply(507, status.message()) : ErrorReply(status);
}

Result<std::string> ModelField(const Json& body) {
  auto name = TextField(body, "model");
  if (!name.ok() || !name->empty()) return name;
  return Status(Code::kInvalidArgument, "\"model\" is missing");
}

uint64_t FreeOnDisk(std::filesystem::path folder) {
  std::error_code error;
  while (folder.has_relative_path() && !std::filesystem::exists(folder, error)) folder = folder.parent_path();
  return FreeSpace(folder).value_or(0);
}

// Nothing but the size of its files is known of it: what a context and buffers take is a guess.
const char* VerdictBySize(uint64_t bytes, const MemoryRoom& room) {
  uint64_t free = room.available.bytes;
  for (const cli::Device& device : room.devices) free += device.shares_memory ? 0 : device.free_bytes;
  return bytes + bytes / 16 + 512 * kMiB <= free ? "fits" : "streams";
}

Json DownloadJson(const PullProgress& progress) {
  Json json;
  json["phase"] = progress.file.empty() ? "waiting" : progress.checking ? "checking" : "downloading";
  json["file"] = progress.file.empty() ? Json() : Json(progress.file);
  json["done_bytes"] = progress.done_bytes;
  json["total_bytes"] = progress.file.empty() ? Json() : Json(progress.all_bytes);
  return json;
}

Json RepositoriesJson(const std::vector<HubRepository>& found) {
  Json json;
  json["repositories"] = Json::array();
  for (const HubRepository& each : found) {
    json["repositories"].push_back(
        {{"name", each.name}, {"downloads", each.downloads}, {"likes", each.likes}, {"gated", each.gated}});
  }
  return json;
}

}  // namespace

Task<Status> HubApi::AskHub(Exchange& exchange, std::function<Status(const Hub&, const GoOn&)> ask) {
  const Status offered = CheckDownloadsOffered(settings_);
  if (!offered.ok()) co_return offered;
  const auto hub = HubOf(HubVariable, "headrace/" HEADRACE_VERSION);
  if (!hub.ok()) co_return hub.status();
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  exchange.OnGone([gone] { *gone = true; });
  Status status;
  const std::function<void()> work = [&] { status = ask(*hub, [&] { return !*gone && !downloads_.ending(); }); };
  co_await OnWorker(questions_, work);
  exchange.OnGone({});
  co_return status;
}

Task<> HubApi::Search(Exchange& exchange) {
  const std::string words = exchange.request().Query("query");
  if (words.empty() || words.size() > kLongestQuery) {
    co_await exchange.Send(ErrorReply(400, "write ?query= with the words to search for"));
    co_return;
  }
  std::vector<HubRepository> found;
  const std::function<Status(const Hub&, const GoOn&)> ask = [&](const Hub& hub, const GoOn& go_on) {
    auto answer = SearchHub(hub, words, go_on);
    if (answer.ok()) found = std::move(*answer);
    return answer.status();
  };
  const Status status = co_await AskHub(exchange, ask);
  Reply reply = status.ok() ? JsonReply(RepositoriesJson(found)) : HubRefusal(status);
  co_await exchange.Send(std::move(reply));
}

Task<> HubApi::Repository(Exchange& exchange) {
  const std::string name = exchange.request().Query("name");
  if (!IsRepositoryName(name)) {
    co_await exchange.Send(ErrorReply(400, fmt::format("{} names no repository; write ?name=USER/NAME", Shown(name))));
    co_return;
  }
  std::vector<HubModel> models;
  const std::function<Status(const Hub&, const GoOn&)> ask = [&](const Hub& hub, const GoOn& go_on) {
    const auto listing = ListRepository(hub.endpoint, name, hub.access, go_on);
    if (listing.ok()) models = ModelsIn(listing->models, name);
    return listing.status();
  };
  const Status status = co_await AskHub(exchange, ask);
  if (!status.ok()) {
    co_await exchange.Send(HubRefusal(status));
    co_return;
  }
  const auto entries = co_await manager_.lookup().Scan();
  const std::vector<ModelFile> here(entries.begin(), entries.end());
  const auto room = co_await manager_.Room();
  Json json;
  json["name"] = name;
  json["disk_free_bytes"] = FreeOnDisk(HubFolder(HubVariable));
  json["models"] = Json::array();
  for (const HubModel& model : models) {
    const auto present = FindByName(here, model.source);
    json["models"].push_back({{"source", model.source},
                              {"quantization", model.quantization},
                              {"files", model.files},
                              {"size_bytes", model.bytes},
                              {"verdict", VerdictBySize(model.bytes, room)},
                              {"model", present.ok() ? Json(present->id) : Json()}});
  }
  co_await exchange.Send(JsonReply(json));
}

Task<> HubApi::Pull(Exchange& exchange) {
  const auto body = ObjectOf(exchange.request().body);
  const auto name = body.ok() ? ModelField(*body) : Result<std::string>(body.status());
  const auto source = name.ok() ? HubSourceOf(*name) : Result<std::string>(name.status());
  Status refused = source.status();
  if (refused.ok()) refused = CheckDownloadsOffered(settings_);
  if (refused.ok() && downloads_.ending()) refused = Status(Code::kCancelled, "the server is ending");
  if (!refused.ok()) {
    co_await exchange.Send(ErrorReply(refused));
    co_return;
  }
  const bool events = WantsEvents(exchange.request(), *body);
  const auto download = downloads_.Start(*source);
  exchange.OnGone([download] { download->Stop(); });
  co_await Follow(exchange, download, events);
  exchange.OnGone({});
  download->Stop();
}

Task<> HubApi::Follow(Exchange& exchange, std::shared_ptr<Download> download, bool events) {
  if (events && !co_await BeginEvents(exchange)) co_return;
  while (!exchange.gone()) {
    if (const auto end = download->End()) {
      Reply reply = co_await EndReply(*end);
      if (!events) {
        co_await exchange.Send(std::move(reply));
        co_return;
      }
      const std::string name = reply.status == 200 ? "pulled" : "error";
      if (co_await SendEvent(exchange, name, JsonOrNull(reply.body))) co_await exchange.End();
      co_return;
    }
    if (events && !co_await SendEvent(exchange, "progress", DownloadJson(download->Progress()))) co_return;
    co_await Sleep(kDownloadLook);
  }
}

Task<Reply> HubApi::EndReply(Result<PulledModel> pulled) {
  if (!pulled.ok()) co_return PullError(pulled.status());
  Json json;
  json["model"] = nullptr;
  const auto entries = co_await manager_.lookup().Scan();
  for (const ModelEntry& entry : entries) {
    if (entry.path == pulled->path) json["model"] = entry.id;
  }
  json["path"] = NameAsText(pulled->path);
  json["size_bytes"] = pulled->bytes;
  json["was_there"] = pulled->was_there;
  co_return JsonReply(json);
}

std::string HubApi::UseOf(const ModelEntry& entry) const {
  for (const auto& [id, model] : manager_.models()) {
    const auto& stamps = model->plan().stamps;
    const bool uses =
        std::any_of(stamps.begin(), stamps.end(), [&](const FileStamp& stamp) { return stamp.path == entry.path; });
    if (id == entry.id) return fmt::format("{} is loaded: unload it first", id);
    if (uses) return fmt::format("{} is used by {}, which is loaded: unload that first", entry.id, id);
  }
  return "";
}

Task<> HubApi::Delete(Exchange& exchange) {
  const auto body = ObjectOf(exchange.request().body);
  const auto name = body.ok() ? ModelField(*body) : Result<std::string>(body.status());
  if (!name.ok()) {
    co_await exchange.Send(ErrorReply(name.status()));
    co_return;
  }
  const auto entry = co_await manager_.lookup().Find(*name);
  if (!entry.ok()) {
    co_await exchange.Send(ErrorReply(entry.status()));
    co_return;
  }
  const std::string use = UseOf(*entry);
  if (!use.empty()) {
    co_await exchange.Send(ErrorReply(409, use));
    co_return;
  }
  std::optional<Result<uint64_t>> freed;
  const std::function<void()> work = [&] { freed.emplace(RemoveHubModel(HubFolder(HubVariable), entry->path)); };
  co_await OnWorker(worker_, work);
  Json json;
  json["model"] = entry->id;
  json["state"] = "deleted";
  json["freed_bytes"] = freed->ok() ? **freed : 0;
  Reply reply = freed->ok() ? JsonReply(json) : ErrorReply(freed->status());
  co_await exchange.Send(std::move(reply));
}

}  // namespace headrace::serve
