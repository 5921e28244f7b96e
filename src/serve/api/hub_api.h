// The hub's models through the port: searching, looking at a repository, fetching, and deleting what was fetched.
// docs/server.md describes it. The hub is asked only when a client asks for that.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "http/exchange.h"
#include "http/net.h"
#include "models/hub_client.h"
#include "serve/api/downloads.h"
#include "serve/models/model_manager.h"

namespace headrace::serve {

// Lives on the loop. All arguments outlive it. `worker`: what looks at the disk.
class HubApi {
 public:
  HubApi(asio::thread_pool& worker, const Settings& settings, ModelManager& manager, Downloads& downloads)
      : worker_(worker), settings_(settings), manager_(manager), downloads_(downloads) {}

  // GET /api/v1/hub/search?query=WORDS
  Task<> Search(Exchange& exchange);
  // GET /api/v1/hub/repository?name=USER/NAME
  Task<> Repository(Exchange& exchange);
  // POST /api/v1/models/pull. A client that goes away stops its download, which the next request for it goes on with.
  Task<> Pull(Exchange& exchange);
  // POST /api/v1/models/delete
  Task<> Delete(Exchange& exchange);

  // Waits for the thread that asks the hub. After Downloads::Finish.
  void Join() { questions_.join(); }

 private:
  using GoOn = std::function<bool()>;
  // Asks on a thread, as long as the client waits. Errors: those of HubOf, CheckDownloadsOffered and `ask`.
  Task<Status> AskHub(Exchange& exchange, std::function<Status(const Hub&, const GoOn&)> ask);
  Task<> Follow(Exchange& exchange, std::shared_ptr<Download> download, bool events);
  Task<Reply> EndReply(Result<PulledModel> pulled);
  // Why a file must stay: a model that is loaded uses it. "" where none does.
  std::string UseOf(const ModelEntry& entry) const;

  asio::thread_pool& worker_;
  const Settings& settings_;
  ModelManager& manager_;
  Downloads& downloads_;
  asio::thread_pool questions_{1};  // a hub that does not answer keeps nobody else waiting
};

}  // namespace headrace::serve
