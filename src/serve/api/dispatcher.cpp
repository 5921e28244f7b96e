#include "serve/api/dispatcher.h"

#include <fmt/format.h>

#include "http/json_fields.h"
#include "http/web_files.h"
#include "serve/api/endpoints.h"
#include "serve/api/plain_form.h"
#include "serve/api/relay.h"
#include "serve/api/request_check.h"
#include "serve/api/requested_model.h"
#include "serve/api/waiting.h"
#include "serve/models/model_json.h"

namespace headrace::serve {
namespace {

constexpr std::string_view kOneModel = "/v1/models/";
constexpr std::string_view kModels = "/api/v1/models";
constexpr std::string_view kEstimate = "/api/v1/models/estimate";
constexpr std::string_view kLoad = "/api/v1/models/load";
constexpr std::string_view kUnload = "/api/v1/models/unload";
constexpr std::string_view kPull = "/api/v1/models/pull";
constexpr std::string_view kDelete = "/api/v1/models/delete";
constexpr std::string_view kSearch = "/api/v1/hub/search";
constexpr std::string_view kRepository = "/api/v1/hub/repository";
constexpr std::string_view kFlashStats = "/api/v1/flash/stats";

constexpr std::string_view kStop = "/api/v1/stop";

constexpr const char* kReading = "GET, HEAD";

// What a path of our own takes, null for the others.
const char* OwnMethod(std::string_view path) {
  for (const auto own : {kModels, kEstimate, kSearch, kRepository, kFlashStats}) {
    if (path == own) return kReading;
  }
  for (const auto own : {kLoad, kUnload, kPull, kDelete, kStop}) {
    if (path == own) return "POST";
  }
  return nullptr;
}

// Not inside the coroutines: GCC 12 cannot compile lists in braces there, and destroys twice what ?: makes in the
// arguments of a co_await.
Reply NoSuchPath(const std::string& path) {
  return ErrorReply(404, fmt::format("there is no {}; docs/server.md lists what there is", path));
}
Reply HealthReply() { return JsonReply({{"status", "ok"}}); }

}  // namespace

Task<> Dispatcher::Handle(Exchange& exchange) {
  if (OllamaApi::Knows(exchange.request().path)) {
    co_await ollama_.Handle(exchange);
    co_return;
  }
  if (LmStudioApi::Knows(exchange.request().path)) {
    co_await lm_studio_.Handle(exchange);
    co_return;
  }
  const bool own = co_await HandleOwn(exchange);
  if (!own) co_await HandleModel(exchange);
}

Task<bool> Dispatcher::HandleOwn(Exchange& exchange) {
  const Request& request = exchange.request();
  const std::string& path = request.path;
  const bool reads = request.reads();
  const char* right = OwnMethod(path);
  const WebFile* file = FindWebFile(path);
  const bool health = path == "/health" || path == "/v1/health",
             metrics = path == "/metrics" && request.Query("model").empty();
  const bool models = path == "/v1/models" || path == "/models";
  if (!reads && request.method != "POST") {
    const char* methods = right != nullptr ? right : "GET, HEAD, POST";
    Reply refusal = ErrorInShape(ShapeOf(path), WrongMethodReply(request.method, methods));
    co_await exchange.Send(std::move(refusal));
  } else if (!reads && (file != nullptr || health || metrics || models || path.starts_with(kOneModel))) {
    co_await exchange.Send(WrongMethodReply(request.method, kReading));
  } else if (file != nullptr) {
    co_await exchange.Send(ServeWebFile(*file, request));
  } else if (health) {
    co_await exchange.Send(HealthReply());
  } else if (metrics) {
    co_await stats_.Metrics(exchange);
  } else if (models) {
    co_await OpenAiModels(exchange, "");
  } else if (path.starts_with(kOneModel)) {
    co_await OpenAiModels(exchange, path.substr(kOneModel.size()));
  } else if (right == nullptr) {
    if (!path.starts_with("/api/")) co_return false;
    Reply refusal = ErrorInShape(ShapeOf(path), NoSuchPath(path));
    co_await exchange.Send(std::move(refusal));
  } else if (reads != (std::string_view(right) == kReading)) {
    co_await exchange.Send(WrongMethodReply(request.method, right));
  } else if (path == kModels) {
    co_await models_.List(exchange);
  } else if (path == kEstimate) {
    co_await models_.Estimate(exchange);
  } else if (path == kLoad) {
    co_await models_.Load(exchange);
  } else if (path == kUnload) {
    co_await models_.Unload(exchange);
  } else if (path == kStop) {
    co_await Stop(exchange);
  } else if (path == kSearch) {
    co_await hub_.Search(exchange);
  } else if (path == kRepository) {
    co_await hub_.Repository(exchange);
  } else if (path == kPull) {
    co_await hub_.Pull(exchange);
  } else if (path == kDelete) {
    co_await hub_.Delete(exchange);
  } else {
    co_await stats_.FlashStats(exchange);
  }
  co_return true;
}

Task<> Dispatcher::Stop(Exchange& exchange) {
  const std::string& text = exchange.request().body;
  const auto body = ObjectOf(text.empty() ? "{}" : text);
  const auto now = body.ok() ? FlagField(*body, "now", false) : Result<bool>(body.status());
  if (!now.ok()) {
    co_await exchange.Send(ErrorReply(now.status()));
    co_return;
  }
  Json answer;
  answer["state"] = "stopping";
  co_await exchange.Send(JsonReply(answer));
  stop_(*now);
}

Task<> Dispatcher::OpenAiModels(Exchange& exchange, std::string name) {
  Json data = Json::array();
  const auto named = co_await manager_.lookup().Named();
  for (const NamedEntry& each : named) {
    if (!Answers(each.entry) || (!name.empty() && name != each.name)) continue;
    data.push_back(OpenAiModelJson(each.entry, manager_.Get(each.entry.id).get()));
    data.back()["id"] = each.name;
  }
  Reply reply = ListReply(data);
  if (!name.empty() && !data.empty()) reply = JsonReply(data.front());
  if (!name.empty() && data.empty()) {
    const auto found = co_await manager_.lookup().Find(name);
    // A projector, or a file that cannot be read, answers nothing.
    if (!found.ok()) {
      reply = ErrorReply(found.status());
    } else if (!Answers(*found)) {
      reply = ErrorReply(404, fmt::format("{} is no model that answers; GET /api/v1/models says why", found->id));
    } else {
      // By another of its names.
      reply = JsonReply(OpenAiModelJson(*found, manager_.Get(found->id).get()));
    }
  }
  co_await exchange.Send(std::move(reply));
}

Task<Result<std::string>> Dispatcher::ModelFor(Exchange& exchange) {
  const auto name = RequestedModel(exchange.request());
  if (!name.ok()) co_return name.status();
  if (!name->empty()) {
    co_return co_await manager_.IdForWork(*name);
  }
  const auto standard = co_await manager_.DefaultModel();
  if (standard) co_return *standard;
  // A browser that looks for an icon names none.
  const Request& request = exchange.request();
  if (request.reads() || !EndpointOf(request.path).posted) {
    co_return Status(Code::kNotFound,
                     fmt::format("there is no {} here, and no model is loaded that could answer", request.path));
  }
  co_return Status(Code::kInvalidArgument,
                   "there are several models: name one with \"model\"; GET /v1/models lists them");
}

Result<Lease> Dispatcher::LeaseLoaded(const std::string& id) const {
  const auto model = manager_.Get(id);
  if (model == nullptr) {
    return Status(
        Code::kNotFound,
        fmt::format("{} is not loaded, and this request is no reason to load it: POST /api/v1/models/load does", id));
  }
  if (model->state() == ModelState::kLoaded) return Lease(model);
  return Status(Code::kCancelled, fmt::format("{} is {}", id, ToString(model->state())));
}

Task<> Dispatcher::HandleModel(Exchange& exchange) {
  const Request& request = exchange.request();
  const bool reads = request.reads();
  const Endpoint endpoint = EndpointOf(request.path);
  if (reads ? endpoint.posted && !endpoint.read : endpoint.read && !endpoint.posted) {
    co_await exchange.Send(WrongMethodReply(request.method, reads ? "POST" : kReading));
    co_return;
  }
  const auto id = co_await ModelFor(exchange);
  if (!id.ok()) {
    Reply refusal = ErrorInShape(ShapeOf(request.path), ErrorReply(id.status()));
    co_await exchange.Send(std::move(refusal));
    co_return;
  }
  // A request that names no model reads from one that is there.
  const bool read_loads = request.method == "GET" && endpoint.read_loads &&
                          (manager_.Get(*id) != nullptr || !request.Query("model").empty());
  const StreamWish wish = WishOf(request.path, request.body);
  Waiting waiting(exchange, manager_.line(), *id, wish,
                  [this](const Waiter& waiter) { return manager_.NewsOf(waiter); });
  std::optional<Result<Lease>> lease;
  if (reads ? read_loads : endpoint.post_loads) {
    const bool undrafted = WantsProbabilities(request.body);
    lease.emplace(co_await waiting.During(manager_.Acquire(*id, undrafted, &waiting.waiter())));
  } else {
    lease.emplace(LeaseLoaded(*id));
  }
  if (exchange.gone()) co_return;
  if (!lease->ok()) {
    co_await waiting.Refuse(ErrorReply(lease->status(), manager_.ReadyIn(*id)));
    co_return;
  }
  PlainForm form(exchange.request().path, *id);
  co_await Relay(exchange, (*lease)->model(), form, waiting);
}

}  // namespace headrace::serve
