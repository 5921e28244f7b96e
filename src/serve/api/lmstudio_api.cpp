#include "serve/api/lmstudio_api.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "serve/api/lmstudio_answer.h"
#include "serve/api/relay.h"
#include "serve/api/request_check.h"
#include "serve/api/requested_model.h"
#include "serve/api/waiting.h"

namespace headrace::serve {
namespace {

constexpr std::string_view kRest = "/api/v0";
constexpr std::string_view kRestModels = "/api/v0/models";
constexpr std::string_view kRestWork[] = {"/api/v0/chat/completions", "/api/v0/completions", "/api/v0/embeddings"};

}  // namespace

Task<> LmStudioApi::Handle(Exchange& exchange) {
  const Request& request = exchange.request();
  const std::string path = request.path;
  const bool models = path == kRestModels || path.starts_with(std::string(kRestModels) + "/");
  const bool work = std::find(std::begin(kRestWork), std::end(kRestWork), path) != std::end(kRestWork);
  if (models && !request.reads()) {
    co_await exchange.Send(WrongMethodReply(request.method, "GET, HEAD"));
  } else if (work && request.method != "POST") {
    co_await exchange.Send(WrongMethodReply(request.method, "POST"));
  } else if (models) {
    co_await Models(exchange, path.substr(std::min(path.size(), kRestModels.size() + 1)));
  } else if (work) {
    co_await Compute(exchange, "/v1" + path.substr(kRest.size()));
  } else {
    co_await exchange.Send(ErrorReply(404, fmt::format("there is no {}; docs/server.md lists what there is", path)));
  }
}

Task<> LmStudioApi::Models(Exchange& exchange, std::string name) {
  if (!name.empty()) {
    const auto entry = co_await manager_.lookup().Find(name);
    if (!entry.ok()) {
      co_await exchange.Send(ErrorReply(entry.status()));
      co_return;
    }
    Reply reply = JsonReply(LmStudioModel(*entry, entry->id, manager_.Get(entry->id).get()));
    co_await exchange.Send(std::move(reply));
    co_return;
  }
  Json data = Json::array();
  const auto named = co_await manager_.lookup().Named();
  for (const NamedEntry& each : named) {
    if (Answers(each.entry)) data.push_back(LmStudioModel(each.entry, each.name, manager_.Get(each.entry.id).get()));
  }
  co_await exchange.Send(ListReply(data));
}

Task<> LmStudioApi::Compute(Exchange& exchange, std::string path) {
  Request& request = exchange.request();
  const auto name = RequestedModel(request);
  Result<std::string> id = name;
  if (id.ok() && !id->empty()) id = co_await manager_.IdForWork(*name);
  if (id.ok() && id->empty()) {
    const auto standard = co_await manager_.DefaultModel();
    id = standard ? Result<std::string>(*standard)
                  : Result<std::string>(
                        Status(Code::kInvalidArgument,
                               "there are several models: name one with \"model\"; GET /api/v0/models lists them"));
  }
  if (!id.ok()) {
    co_await exchange.Send(ErrorReply(id.status()));
    co_return;
  }
  Wanted wanted;
  wanted.embedding = path == "/v1/embeddings";
  wanted.undrafted = WantsProbabilities(request.body);
  Waiting waiting(exchange, manager_.line(), *id, WishOf(path, request.body),
                  [this](const Waiter& waiter) { return manager_.NewsOf(waiter); });
  const auto lease = co_await waiting.During(manager_.AcquireAs(*id, std::move(wanted), &waiting.waiter()));
  if (exchange.gone()) co_return;
  if (!lease.ok()) {
    co_await waiting.Refuse(ErrorReply(lease.status(), manager_.ReadyIn(*id)));
    co_return;
  }
  request.path = request.target = path;
  LmStudioAnswer form(*id, LmStudioAbout(lease->model(), settings_.engine_version));
  co_await Relay(exchange, lease->model(), form, waiting);
}

}  // namespace headrace::serve
