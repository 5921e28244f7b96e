#include "serve/dispatcher.h"

#include <fmt/format.h>

#include "serve/model_json.h"
#include "serve/relay.h"
#include "serve/requested_model.h"
#include "serve/web_files.h"

namespace headrace::serve {
namespace {

constexpr std::string_view kOneModel = "/v1/models/";
constexpr std::string_view kModels = "/api/v1/models";
constexpr std::string_view kEstimate = "/api/v1/models/estimate";
constexpr std::string_view kLoad = "/api/v1/models/load";
constexpr std::string_view kUnload = "/api/v1/models/unload";
constexpr std::string_view kFlashStats = "/api/v1/flash/stats";

// The method of a path of our own, null for the others.
const char* OwnMethod(std::string_view path) {
  if (path == kModels || path == kEstimate || path == kFlashStats) return "GET";
  return path == kLoad || path == kUnload ? "POST" : nullptr;
}

// Not inside the coroutines: GCC 12 cannot compile lists in braces there, and destroys twice what ?: makes in the arguments
// of a co_await.
Reply HealthReply() { return JsonReply({{"status", "ok"}}); }
Reply ListReply(const Json& data) { return JsonReply({{"object", "list"}, {"data", data}}); }

bool Reads(const Request& request) { return request.method == "GET" || request.method == "HEAD"; }

Reply WrongMethod(const char* right) {
  Reply reply = ErrorReply(405, fmt::format("this path takes {} only", right));
  reply.headers.emplace_back("Allow", right);
  return reply;
}

}  // namespace

Task<> Dispatcher::Handle(Exchange& exchange) {
  const bool own = co_await HandleOwn(exchange);
  if (!own) co_await HandleModel(exchange);
}

Task<bool> Dispatcher::HandleOwn(Exchange& exchange) {
  const Request& request = exchange.request();
  const std::string& path = request.path;
  const bool reads = Reads(request);
  const char* right = OwnMethod(path);
  if (const WebFile* file = FindWebFile(path); file != nullptr && reads) {
    co_await exchange.Send(ServeWebFile(*file, request));
  } else if (path == "/health" || path == "/v1/health") {
    co_await exchange.Send(HealthReply());
  } else if (path == "/metrics" && request.Query("model").empty()) {
    co_await stats_.Metrics(exchange);
  } else if ((path == "/v1/models" || path == "/models") && reads) {
    co_await OpenAiModels(exchange, "");
  } else if (path.starts_with(kOneModel) && reads) {
    co_await OpenAiModels(exchange, path.substr(kOneModel.size()));
  } else if (right == nullptr) {
    if (!path.starts_with("/api/v1/")) co_return false;
    co_await exchange.Send(ErrorReply(404, fmt::format("there is no {}; docs/server.md lists what there is", path)));
  } else if (reads != (std::string_view(right) == "GET") || (!reads && request.method != "POST")) {
    co_await exchange.Send(WrongMethod(right));
  } else if (path == kModels) {
    co_await models_.List(exchange);
  } else if (path == kEstimate) {
    co_await models_.Estimate(exchange);
  } else if (path == kLoad) {
    co_await models_.Load(exchange);
  } else if (path == kUnload) {
    co_await models_.Unload(exchange);
  } else {
    co_await stats_.FlashStats(exchange);
  }
  co_return true;
}

Task<> Dispatcher::OpenAiModels(Exchange& exchange, std::string name) {
  Json data = Json::array();
  const auto entries = co_await manager_.Scan();
  for (const ModelEntry& entry : entries) {
    if (entry.kind == ModelKind::kProjector || !entry.error.empty() || (!name.empty() && name != entry.id)) continue;
    data.push_back(OpenAiModelJson(entry, manager_.Get(entry.id).get()));
  }
  Reply reply = ListReply(data);
  if (!name.empty()) reply = data.empty() ? ErrorReply(404, fmt::format("there is no model {}", name)) : JsonReply(data.front());
  co_await exchange.Send(std::move(reply));
}

Task<> Dispatcher::HandleModel(Exchange& exchange) {
  auto name = RequestedModel(exchange.request());
  if (!name.ok()) {
    co_await exchange.Send(ErrorReply(name.status()));
    co_return;
  }
  if (name->empty()) {
    const auto standard = co_await manager_.DefaultModel();
    // A browser that looks for an icon must not load a model.
    if (Reads(exchange.request()) && (!standard || manager_.Get(*standard) == nullptr)) {
      co_await exchange.Send(ErrorReply(404, "there is no such page, and no model is loaded that could answer"));
      co_return;
    }
    if (!standard) {
      co_await exchange.Send(ErrorReply(400, "there are several models: name one with \"model\"; GET /v1/models lists them"));
      co_return;
    }
    name = *standard;
  }
  const auto lease = co_await manager_.Acquire(*name);
  if (exchange.gone()) co_return;
  if (!lease.ok()) {
    const auto entry = co_await manager_.Find(*name);
    co_await exchange.Send(ErrorReply(lease.status(), manager_.ReadyIn(entry ? entry->id : *name)));
    co_return;
  }
  co_await Relay(exchange, lease->model());
}

}  // namespace headrace::serve
