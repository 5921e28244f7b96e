#include "serve/api/stats_api.h"

#include <algorithm>
#include <charconv>

#include "http/events.h"
#include "report/counters.h"
#include "serve/api/flash_statistics.h"

namespace headrace::serve {
namespace {

constexpr int kStatisticsVersion = 1;
constexpr int kInterval = 1000, kShortest = 100, kLongestInterval = 60'000;  // ms
constexpr Millis kStep{200};                                                 // in which an end is noticed

using Readings = std::map<std::string, cli::Statistics>;

Json Reading(const ModelManager& manager, Readings& before, double seconds) {
  Json models = Json::array();
  Readings now;
  for (const auto& [id, model] : manager.models()) {
    const auto statistics = model->ReadStatistics();
    Json json = {{"id", id},
                 {"state", ToString(model->state())},
                 {"requests", model->requests()},
                 {"flash", nullptr},
                 {"rates", nullptr}};
    if (statistics) {
      json["flash"] = cli::CountersJson(*statistics, cli::TimesIn::kSeconds);
      const auto earlier = before.find(id);
      if (earlier != before.end()) json["rates"] = FlashRatesJson(earlier->second, *statistics, seconds);
      now[id] = *statistics;
    }
    models.push_back(std::move(json));
  }
  before = std::move(now);
  return {{"version", kStatisticsVersion}, {"models", models}};
}

}  // namespace

Task<> StatsApi::Metrics(Exchange& exchange) {
  std::vector<ModelMetrics> models;
  for (const auto& [id, model] : manager_.models()) {
    models.push_back({id, model->state() == ModelState::kLoaded, model->requests(), model->requests_in_all(),
                      model->restarts, model->ReadStatistics()});
  }
  Reply reply;
  reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
  reply.body = RenderMetrics(models) + requests_.Render() + RenderModelMetrics(manager_);
  co_await exchange.Send(std::move(reply));
}

Task<> StatsApi::FlashStats(Exchange& exchange) {
  Readings before;
  const std::string once = exchange.request().Query("once");
  if (once == "1" || once == "true") {
    co_await exchange.Send(JsonReply(Reading(manager_, before, 0)));
    co_return;
  }
  int interval = kInterval;
  const std::string given = exchange.request().Query("interval_ms");
  const auto [end, bad] = std::from_chars(given.data(), given.data() + given.size(), interval);
  if (!given.empty() && (bad != std::errc() || end != given.data() + given.size())) {
    co_await exchange.Send(ErrorReply(400, "interval_ms is not understood: write a whole number of milliseconds"));
    co_return;
  }
  const Millis pause(std::clamp(interval, kShortest, kLongestInterval));
  if (!co_await BeginEvents(exchange)) co_return;
  auto last = Clock::now();
  while (!finishing_ && exchange.request().method != "HEAD") {
    const auto now = Clock::now();
    const Json reading = Reading(manager_, before, std::chrono::duration<double>(now - last).count());
    last = now;
    if (!co_await SendEvent(exchange, "stats", reading)) co_return;
    while (!finishing_ && !exchange.gone() && Clock::now() < last + pause) {
      co_await Sleep(std::min(kStep, std::chrono::ceil<Millis>(last + pause - Clock::now())));
    }
  }
  co_await exchange.End();
}

}  // namespace headrace::serve
