#include "serve/api/ollama_api.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "base/log.h"
#include "http/json_fields.h"
#include "llama_server/child_client.h"
#include "serve/api/embedding_input.h"
#include "serve/api/ollama_answer.h"
#include "serve/api/ollama_embedding.h"
#include "serve/api/ollama_models.h"
#include "serve/api/relay.h"
#include "serve/api/request_check.h"

namespace headrace::serve {
namespace {

// The release of Ollama whose API is followed: programs compare it with what they need.
constexpr const char* kOllamaVersion = "0.12.6";

struct OllamaPath {
  std::string_view path;
  const char* method;   // that it takes
  const char* refusal;  // why it is never done, null where it is
};

constexpr OllamaPath kOllamaPaths[] = {
    {"/api/version", "GET, HEAD", nullptr},
    {"/api/tags", "GET, HEAD", nullptr},
    {"/api/ps", "GET, HEAD", nullptr},
    {"/api/show", "POST", nullptr},
    {"/api/chat", "POST", nullptr},
    {"/api/generate", "POST", nullptr},
    {"/api/embed", "POST", nullptr},
    {"/api/embeddings", "POST", nullptr},
    {"/api/pull", "POST", nullptr},
    {"/api/delete", "DELETE",
     "headrace serve deletes no files; delete the model's file yourself (GET /api/v1/models has its path)"},
    {"/api/create", "POST",
     "headrace serve makes no models; put a GGUF file, and a Modelfile beside it, into a folder that it offers "
     "(docs/modelfile.md)"},
    {"/api/copy", "POST", "headrace serve copies no models; start it with --alias NAME=MODEL to give one another name"},
    {"/api/push", "POST", "headrace serve uploads no models"}};

const OllamaPath* FindOllamaPath(std::string_view path) {
  const auto it = std::find_if(std::begin(kOllamaPaths), std::end(kOllamaPaths),
                               [&](const OllamaPath& each) { return each.path == path; });
  return it == std::end(kOllamaPaths) ? nullptr : it;
}

Reply VersionReply() { return JsonReply({{"version", kOllamaVersion}, {"headrace", HEADRACE_VERSION}}); }
Reply OllamaList(const Json& models) { return JsonReply({{"models", models}}); }
Reply OllamaRefusal(const Status& status) { return OllamaError(ErrorReply(status)); }
Reply OllamaRefusal(int status, const std::string& message) { return OllamaError(ErrorReply(status, message)); }

Reply OllamaWrongMethod(const std::string& method, const char* right) {
  return OllamaError(WrongMethodReply(method, right));
}

Reply StillThere(const OllamaAnswer& form, const char* reason) { return JsonReply(form.Empty(reason)); }
std::string InputBody(const Json& inputs) { return Dump({{"input", inputs}}); }
Reply NoVectors(const OllamaEmbeddingAnswer& form) { return JsonReply(form.Whole(Json())); }

void SayUnknown(const std::vector<std::string>& names) {
  for (const std::string& name : names)
    LogWarning(fmt::format("options.{} of a request is not known and left out", name));
}

// The request as llama-server gets it.
void BecomeChildRequest(Request& request, const std::string& path, const Json& body) {
  request.method = "POST";
  request.path = request.target = path;
  request.query.clear();
  request.headers = {{"Content-Type", "application/json"}};
  request.body = Dump(body);
}

}  // namespace

bool OllamaApi::Knows(std::string_view path) { return FindOllamaPath(path) != nullptr; }

Task<> OllamaApi::Handle(Exchange& exchange) {
  const Request& request = exchange.request();
  const OllamaPath& known = *FindOllamaPath(request.path);
  const std::string_view path = known.path;
  const bool right = known.method == std::string_view("GET, HEAD") ? request.reads() : request.method == known.method;
  if (!right) {
    co_await exchange.Send(OllamaWrongMethod(request.method, known.method));
  } else if (known.refusal != nullptr) {
    co_await exchange.Send(OllamaRefusal(403, known.refusal));
  } else if (path == "/api/version") {
    co_await exchange.Send(VersionReply());
  } else if (path == "/api/tags") {
    co_await Tags(exchange);
  } else if (path == "/api/ps") {
    co_await Running(exchange);
  } else if (path == "/api/show") {
    co_await Show(exchange);
  } else if (path == "/api/pull") {
    co_await pull_.Handle(exchange);
  } else if (path.starts_with("/api/embed")) {
    co_await Embed(exchange);
  } else {
    co_await Generate(exchange);
  }
}

Task<> OllamaApi::Tags(Exchange& exchange) {
  Json models = Json::array();
  const auto named = co_await manager_.lookup().Named();
  for (const NamedEntry& each : named) {
    if (Answers(each.entry)) models.push_back(OllamaTag(each.entry, each.name));
  }
  co_await exchange.Send(OllamaList(models));
}

Task<> OllamaApi::Running(Exchange& exchange) {
  Json models = Json::array();
  for (const auto& [id, model] : manager_.models()) {
    if (model->state() == ModelState::kLoaded) models.push_back(OllamaRunning(*model, settings_.ttl));
  }
  co_await exchange.Send(OllamaList(models));
}

Task<> OllamaApi::Show(Exchange& exchange) {
  const auto body = ObjectOf(exchange.request().body);
  const auto name = body.ok() ? OllamaModelName(*body) : Result<std::string>(body.status());
  if (!name.ok()) {
    co_await exchange.Send(OllamaRefusal(name.status()));
    co_return;
  }
  const auto id = co_await manager_.IdForWork(*name);
  if (!id.ok()) {
    co_await exchange.Send(OllamaRefusal(id.status()));
    co_return;
  }
  const auto entry = co_await manager_.lookup().Find(*id);
  if (!entry.ok()) {
    co_await exchange.Send(OllamaRefusal(entry.status()));
    co_return;
  }
  Json properties;
  const auto model = manager_.Get(entry->id);
  if (model != nullptr && model->state() == ModelState::kLoaded) {
    const auto answer = co_await AskChild(model->socket_path(), "GET", "/props", "", kQuickQuestion);
    if (answer.ok()) properties = JsonOrNull(answer->body);
  }
  const bool projector = co_await manager_.lookup().HasProjector(*entry);
  Reply reply = JsonReply(OllamaShow(*entry, properties, projector));
  co_await exchange.Send(std::move(reply));
}

Task<Result<Lease>> OllamaApi::Acquire(Exchange& exchange, std::string id, OllamaOptions options, bool embedding,
                                       Waiter* waiter) {
  SayUnknown(options.unknown);
  Wanted wanted;
  wanted.configuration = std::move(options.configuration);
  wanted.context = options.context;
  wanted.embedding = embedding;
  wanted.undrafted = WantsProbabilities(exchange.request().body);
  co_return co_await manager_.AcquireAs(std::move(id), std::move(wanted), waiter);
}

Waiting OllamaApi::WaitingFor(Exchange& exchange, const std::string& id, bool stream) {
  return Waiting(exchange, manager_.line(), id, StreamWish{ApiShape::kOllama, stream, false},
                 [this](const Waiter& waiter) { return manager_.NewsOf(waiter); });
}

void OllamaApi::KeepLoaded(const std::string& id, const KeepAlive& keep_alive) {
  switch (keep_alive.kind) {
    case KeepAlive::Kind::kAsServed:
      return;
    case KeepAlive::Kind::kAtOnce:
      Spawn(executor_, manager_.Unload(id, false));
      return;
    case KeepAlive::Kind::kTime:
    case KeepAlive::Kind::kForEver:
      manager_.KeepLoaded(id, keep_alive.time);
      return;
  }
}

Task<> OllamaApi::Generate(Exchange& exchange) {
  const auto body = ObjectOf(exchange.request().body);
  const bool chat = exchange.request().path == "/api/chat";
  auto request =
      body.ok() ? chat ? ParseOllamaChat(*body) : ParseOllamaGenerate(*body) : Result<OllamaRequest>(body.status());
  if (!request.ok()) {
    co_await exchange.Send(OllamaRefusal(request.status()));
    co_return;
  }
  auto id = co_await manager_.IdForWork(request->model);
  if (!id.ok()) {
    co_await exchange.Send(OllamaRefusal(id.status()));
  } else if (request->empty) {
    co_await LoadOnly(exchange, std::move(*request), std::move(*id));
  } else {
    co_await Compute(exchange, std::move(*request), std::move(*id));
  }
}

Task<> OllamaApi::LoadOnly(Exchange& exchange, OllamaRequest request, std::string id) {
  const OllamaAnswer form(request.kind, request.model, false, request.completion, Clock::now(), Clock::duration(0));
  if (request.keep_alive.kind == KeepAlive::Kind::kAtOnce) {
    co_await manager_.Unload(id, false);
    co_await exchange.Send(StillThere(form, "unload"));
    co_return;
  }
  Waiting waiting = WaitingFor(exchange, id, false);
  const auto lease = co_await Acquire(exchange, id, request.options, false, &waiting.waiter());
  if (!lease.ok()) {
    co_await waiting.Refuse(ErrorReply(lease.status(), manager_.ReadyIn(id)));
    co_return;
  }
  KeepLoaded(id, request.keep_alive);
  co_await exchange.Send(StillThere(form, "load"));
}

Task<> OllamaApi::Compute(Exchange& exchange, OllamaRequest request, std::string id) {
  const auto begin = Clock::now();
  BecomeChildRequest(exchange.request(), request.path, request.body);
  {
    Waiting waiting = WaitingFor(exchange, id, request.stream);
    const auto lease =
        co_await waiting.During(Acquire(exchange, id, std::move(request.options), false, &waiting.waiter()));
    if (exchange.gone()) co_return;
    if (!lease.ok()) {
      co_await waiting.Refuse(ErrorReply(lease.status(), manager_.ReadyIn(id)));
      co_return;
    }
    OllamaAnswer form(request.kind, request.model, request.stream, request.completion, begin, Clock::now() - begin);
    co_await Relay(exchange, lease->model(), form, waiting);
  }
  KeepLoaded(id, request.keep_alive);
}

Task<> OllamaApi::Embed(Exchange& exchange) {
  const auto begin = Clock::now();
  const auto body = ObjectOf(exchange.request().body);
  const bool one = exchange.request().path == "/api/embeddings";
  const auto request = body.ok() ? ParseOllamaEmbedding(*body, one) : Result<OllamaEmbedding>(body.status());
  if (!request.ok()) {
    co_await exchange.Send(OllamaRefusal(request.status()));
    co_return;
  }
  const auto id = co_await manager_.IdForWork(request->model);
  if (!id.ok()) {
    co_await exchange.Send(OllamaRefusal(id.status()));
    co_return;
  }
  BecomeChildRequest(exchange.request(), "/v1/embeddings", Json());
  {
    Waiting waiting = WaitingFor(exchange, *id, false);
    const auto lease = co_await Acquire(exchange, *id, request->options, true, &waiting.waiter());
    if (exchange.gone()) co_return;
    if (!lease.ok()) {
      co_await waiting.Refuse(ErrorReply(lease.status(), manager_.ReadyIn(*id)));
      co_return;
    }
    OllamaEmbeddingAnswer form(*request, begin, Clock::now() - begin);
    const Model& model = lease->model();
    const auto inputs =
        co_await InputsThatFit(model.socket_path(), request->input, model.input_tokens(), request->truncate);
    if (request->input.empty()) {
      co_await exchange.Send(NoVectors(form));
    } else if (!inputs.ok()) {
      co_await waiting.Refuse(ErrorReply(inputs.status()));
    } else {
      exchange.request().body = InputBody(*inputs);
      co_await Relay(exchange, lease->model(), form, waiting);
    }
  }
  KeepLoaded(*id, request->keep_alive);
}

}  // namespace headrace::serve
