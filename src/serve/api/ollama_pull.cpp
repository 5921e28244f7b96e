#include "serve/api/ollama_pull.h"

#include <optional>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/letters.h"
#include "base/shown.h"
#include "http/json_fields.h"
#include "models/hub_names.h"
#include "models/model_names.h"
#include "serve/api/ollama_answer.h"
#include "serve/api/ollama_request.h"

namespace headrace::serve {
namespace {

constexpr Millis kPullLook{250};
constexpr std::string_view kHubHosts[] = {"hf:", "hf.co/", "huggingface.co/", "https://hf.co/",
                                          "https://huggingface.co/"};

// Clients show the progress of each digest; the file's real one is not known before it is here.
std::string TransferName(const std::string& file) {
  std::string digits;
  uint64_t hash = HashBytes(file);
  for (int i = 0; i < 4; ++i, hash = HashBytes(digits, hash)) digits += fmt::format("{:016x}", hash);
  return "sha256:" + digits;
}

std::string StatusLine(const char* status) { return Dump({{"status", status}}) + "\n"; }

std::string ProgressLine(const PullProgress& progress) {
  if (progress.file.empty()) return "";
  if (progress.checking) return StatusLine("verifying sha256 digest");
  return Dump({{"status", "pulling " + progress.file},
               {"digest", TransferName(progress.file)},
               {"total", progress.all_bytes},
               {"completed", progress.done_bytes}}) +
         "\n";
}

std::string EndOf(const Result<PulledModel>& pulled) {
  return pulled.ok() ? StatusLine("success") : Dump({{"error", pulled.status().message()}}) + "\n";
}

Reply PullRefusal(const Status& status) { return OllamaError(ErrorReply(status)); }
Reply PullDone() { return JsonReply({{"status", "success"}}); }

AnswerHead PullHead() {
  AnswerHead head;
  head.headers = {{"Content-Type", "application/x-ndjson"}};
  return head;
}

}  // namespace

Result<std::string> HubSourceOf(const std::string& name) {
  std::string text = WithoutLatest(name);
  for (const std::string_view host : kHubHosts) {
    if (!EqualIgnoringCase(std::string_view(text).substr(0, host.size()), host)) continue;
    text.erase(0, host.size());
    break;
  }
  if (IsRepositoryName(SplitTag(text).first)) return "hf:" + text;
  return Status(Code::kInvalidArgument,
                fmt::format("{} names no repository of the hub; write hf.co/USER/NAME-GGUF or "
                            "hf.co/USER/NAME-GGUF:QUANTIZATION. Ollama's own library is not read here, "
                            "addresses are with headrace pull",
                            Shown(name)));
}

Task<> OllamaPull::Handle(Exchange& exchange) {
  const auto body = ObjectOf(exchange.request().body);
  const auto name = body.ok() ? OllamaModelName(*body) : Result<std::string>(body.status());
  const auto stream = body.ok() ? FlagField(*body, "stream", true) : Result<bool>(body.status());
  if (!name.ok() || !stream.ok()) {
    const Status wrong = name.ok() ? stream.status() : name.status();
    co_await exchange.Send(PullRefusal(wrong));
    co_return;
  }
  const auto source = HubSourceOf(*name);
  const auto present = co_await manager_.lookup().Find(*name);
  if (present.ok()) {
    co_await Present(exchange, *stream);
    co_return;
  }
  Status refused;
  if (!source.ok()) refused = source.status();
  if (source.ok()) refused = CheckDownloadsOffered(settings_);
  if (downloads_.ending()) refused = Status(Code::kCancelled, "the server is ending");
  if (!refused.ok()) {
    co_await exchange.Send(PullRefusal(refused));
    co_return;
  }
  const auto download = downloads_.Start(*source);
  exchange.OnGone([download] { download->Stop(); });
  if (*stream) {
    co_await Stream(exchange, download);
  } else {
    co_await Whole(exchange, download);
  }
  exchange.OnGone({});
  download->Stop();
}

Task<> OllamaPull::Present(Exchange& exchange, bool stream) {
  if (!stream) {
    co_await exchange.Send(PullDone());
    co_return;
  }
  if (!co_await exchange.Begin(PullHead())) co_return;
  const std::string lines = StatusLine("pulling manifest") + StatusLine("success");
  if (co_await exchange.Write(lines)) co_await exchange.End();
}

Task<> OllamaPull::Stream(Exchange& exchange, std::shared_ptr<Download> download) {
  if (!co_await exchange.Begin(PullHead())) co_return;
  const std::string begin = StatusLine("pulling manifest");
  if (!co_await exchange.Write(begin)) co_return;
  std::string last;
  while (true) {
    const auto end = download->End();
    if (end) {
      const std::string line = EndOf(*end);
      if (co_await exchange.Write(line)) co_await exchange.End();
      co_return;
    }
    const std::string line = ProgressLine(download->Progress());
    if (line != last && !co_await exchange.Write(line)) co_return;
    last = line;
    co_await Sleep(kPullLook);
    if (exchange.gone()) co_return;
  }
}

Task<> OllamaPull::Whole(Exchange& exchange, std::shared_ptr<Download> download) {
  while (!exchange.gone()) {
    const auto end = download->End();
    if (end) {
      Reply reply = end->ok() ? PullDone() : PullRefusal(end->status());
      co_await exchange.Send(std::move(reply));
      co_return;
    }
    co_await Sleep(kPullLook);
  }
}

}  // namespace headrace::serve
