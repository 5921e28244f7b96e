#include "serve/api/models_api.h"

#include <charconv>
#include <cstdlib>

#include <fmt/format.h>

#include "base/log.h"
#include "http/events.h"
#include "http/json_fields.h"
#include "models/hub_removal.h"
#include "models/places.h"
#include "serve/api/downloads.h"
#include "serve/models/estimate.h"
#include "serve/models/model_json.h"

namespace headrace::serve {
namespace {

constexpr Millis kProgress{250};
constexpr uint64_t kPromptTokens = 512;

Result<std::string> ModelOf(const Json& body) {
  const auto it = body.find("model");
  if (it != body.end() && it->is_string() && !it->get<std::string>().empty()) return it->get<std::string>();
  return Status(Code::kInvalidArgument, "\"model\" is missing: write a model's id; GET /api/v1/models lists them");
}

}  // namespace

struct ModelsApi::LoadRequest {
  ModelEntry entry;
  ModelConfig config;
  bool remember = true;
};

Task<> ModelsApi::List(Exchange& exchange) {
  const auto entries = co_await manager_.lookup().Scan();
  const std::string hub = HubFolder([](const char* name) { return std::getenv(name); });
  const Status downloads = CheckDownloadsOffered(settings_);
  Json models = Json::array();
  for (const ModelEntry& entry : entries) {
    models.push_back(ModelJson(entry, manager_.Get(entry.id).get(), manager_.history().LastError(entry.id),
                               manager_.Remembered(entry)));
    models.back()["deletable"] = IsInHub(hub, entry.path);
  }
  const auto room = co_await manager_.Room();
  const auto info = ReadTextFile("/proc/meminfo");
  const auto memory = info ? ParseMeminfo(*info) : std::nullopt;
  // Of a model that cannot exist: only what is wrong with the whole file.
  const auto remembered = store_.Find("");
  Json body;
  body["models"] = models;
  body["memory"]["total_bytes"] = memory ? Json(memory->total_bytes) : Json();
  body["memory"]["available_bytes"] = room.available.bytes;
  body["memory"]["limited_by"] = room.available.limited_by;
  body["memory"]["granted_bytes"] = room.granted_bytes;
  body["memory"]["ram_bytes"] = settings_.total_bytes > 0 ? Json(settings_.total_bytes) : Json();
  body["memory"]["devices"] = Json::array();
  for (const cli::Device& device : room.devices) {
    body["memory"]["devices"].push_back({{"name", device.name},
                                         {"description", device.description},
                                         {"total_bytes", device.total_bytes},
                                         {"free_bytes", device.free_bytes},
                                         {"shares_memory", device.shares_memory}});
  }
  body["downloads_refused"] = downloads.ok() ? Json() : Json(downloads.message());
  body["models_max"] = settings_.models_max;
  body["ttl_s"] = settings_.ttl.count();
  body["configuration_file"]["path"] = store_.path();
  body["configuration_file"]["error"] = remembered.ok() ? Json() : Json(remembered.status().message());
  co_await exchange.Send(JsonReply(body));
}

Task<Result<ModelsApi::LoadRequest>> ModelsApi::ReadLoadRequest(const Json& body) {
  const auto name = ModelOf(body);
  if (!name.ok()) co_return name.status();
  const auto remember = FlagField(body, "remember", true);
  if (!remember.ok()) co_return remember.status();
  const auto entry = co_await manager_.lookup().Find(*name);
  if (!entry.ok()) co_return entry.status();
  // With a file that cannot be read the request alone counts; the answer says that nothing is remembered.
  const auto base = co_await manager_.Recall(*entry, true);
  const auto config = ParseModelConfig(body, base.ok() ? *base : ModelConfig(), {"model", "stream", "remember"});
  if (!config.ok()) co_return config.status();
  co_return LoadRequest{*entry, *config, *remember};
}

Task<Reply> ModelsApi::LoadNow(LoadRequest request) {
  const auto model = co_await manager_.Load(request.entry, request.config);
  if (!model.ok()) co_return ErrorReply(model.status());
  Json body = InForceJson(**model);
  body["model"] = request.entry.id;
  body["state"] = ToString((*model)->state());
  body["load_s"] = (*model)->load_seconds;
  const Status remembered = request.remember ? store_.Remember(request.entry.path, request.config) : Status();
  if (!remembered.ok()) LogWarning(remembered.message());
  body["remembered"] = request.remember && remembered.ok();
  body["remember_error"] = remembered.ok() ? Json() : Json(remembered.message());
  co_return JsonReply(body);
}

Task<> ModelsApi::LoadWithEvents(Exchange& exchange, LoadRequest request) {
  struct Shared {
    explicit Shared(const Executor& executor) : done(executor) {}
    std::optional<Reply> reply;
    Wakeup done;
  };
  const auto shared = std::make_shared<Shared>(executor_);
  const std::string id = request.entry.id;
  // The load goes on when the client goes away.
  const auto load = [](ModelsApi* self, LoadRequest what, std::shared_ptr<Shared> out) -> Task<> {
    out->reply = co_await self->LoadNow(std::move(what));
    out->done.NotifyAll();
  };
  if (!co_await BeginEvents(exchange)) co_return;
  Spawn(executor_, load(this, std::move(request), shared));
  while (!shared->reply) {
    if (!co_await SendEvent(exchange, "progress", ProgressJson(id, manager_.Get(id).get()))) co_return;
    if (!shared->reply) co_await shared->done.WaitFor(kProgress);
  }
  const Json result = JsonOrNull(shared->reply->body);
  const std::string name = shared->reply->status == 200 ? "loaded" : "error";
  if (co_await SendEvent(exchange, name, result)) co_await exchange.End();
}

Task<> ModelsApi::Load(Exchange& exchange) {
  const auto body = ObjectOf(exchange.request().body);
  if (!body.ok()) {
    co_await exchange.Send(ErrorReply(body.status()));
    co_return;
  }
  auto request = co_await ReadLoadRequest(*body);
  if (!request.ok()) {
    co_await exchange.Send(ErrorReply(request.status()));
  } else if (WantsEvents(exchange.request(), *body)) {
    co_await LoadWithEvents(exchange, std::move(*request));
  } else {
    Reply reply = co_await LoadNow(std::move(*request));
    co_await exchange.Send(std::move(reply));
  }
}

Task<> ModelsApi::Unload(Exchange& exchange) {
  const auto body = ObjectOf(exchange.request().body);
  const auto name = body.ok() ? ModelOf(*body) : Result<std::string>(body.status());
  const auto force = body.ok() ? FlagField(*body, "force", false) : Result<bool>(body.status());
  if (!name.ok() || !force.ok()) {
    const Status& wrong = name.ok() ? force.status() : name.status();
    co_await exchange.Send(ErrorReply(wrong));
    co_return;
  }
  const auto entry = co_await manager_.lookup().Find(*name);
  // One whose file is gone can be unloaded still.
  const std::string id = entry.ok() ? entry->id : *name;
  const bool was_loaded = manager_.Get(id) != nullptr;
  if (!entry.ok() && !was_loaded) {
    co_await exchange.Send(ErrorReply(entry.status()));
    co_return;
  }
  co_await manager_.Unload(id, *force);
  Json answer;
  answer["model"] = id;
  answer["state"] = ToString(ModelState::kGone);
  answer["was_loaded"] = was_loaded;
  co_await exchange.Send(JsonReply(answer));
}

Task<> ModelsApi::Estimate(Exchange& exchange) {
  const Request& request = exchange.request();
  const std::string name = request.Query("model");
  uint64_t prompt_tokens = kPromptTokens;
  const std::string given = request.Query("prompt_tokens");
  const auto [end, bad] = std::from_chars(given.data(), given.data() + given.size(), prompt_tokens);
  if (!given.empty() && (bad != std::errc() || end != given.data() + given.size() || prompt_tokens == 0)) {
    co_await exchange.Send(ErrorReply(400, "prompt_tokens is not understood: write a whole number above zero"));
    co_return;
  }
  const auto entry = co_await manager_.lookup().Find(name);
  if (!entry.ok()) {
    co_await exchange.Send(ErrorReply(entry.status()));
    co_return;
  }
  const auto base = co_await manager_.Recall(*entry, false);
  const auto config = ConfigFromQuery(request, base.ok() ? *base : ModelConfig());
  if (!config.ok()) {
    co_await exchange.Send(ErrorReply(config.status()));
    co_return;
  }
  const auto preview = co_await manager_.Foresee(*entry, *config);
  if (!preview.ok()) {
    co_await exchange.Send(ErrorReply(preview.status()));
    co_return;
  }
  std::optional<Result<Json>> estimate;
  co_await OnWorker(worker_, [&] { estimate.emplace(EstimateJson(settings_, *preview, prompt_tokens)); });
  Reply reply = estimate->ok() ? JsonReply(**estimate) : ErrorReply(estimate->status());
  co_await exchange.Send(std::move(reply));
}

}  // namespace headrace::serve
