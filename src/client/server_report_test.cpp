#include "client/server_report.h"

#include <gtest/gtest.h>

namespace headrace::client {
namespace {

TEST(ServerReport, ModelsThatAreLoaded) {
  const Json answer = Json::parse(R"({
    "models": [
      {"id": "small", "state": "loaded", "loaded": {"requests": 0, "requests_waiting": 0, "idle_s": 61.2,
        "decision": {"streams": false, "memory": {"peak_bytes": 1073741824}}}},
      {"id": "large", "state": "loaded", "loaded": {"requests": 3, "requests_waiting": 2, "idle_s": 0,
        "decision": {"streams": true, "resident_bytes": 2147483648, "streamed_bytes_per_pass": 1073741824,
                     "memory": {"peak_bytes": 4294967296}}}},
      {"id": "next", "state": "loading", "loaded": null},
      {"id": "other", "state": "unloaded", "loaded": null}],
    "memory": {"available_bytes": 2147483648, "limited_by": "free memory"}})");
  EXPECT_EQ(RenderServerModels(answer),
            "MODEL  STATE      MEMORY  RESIDENT  PER PASS       REQUESTS       IDLE\n"
            "small  loaded   1.00 GiB       all         -              0  1 min 1 s\n"
            "large  loaded   4.00 GiB  2.00 GiB  1.00 GiB  3 (2 waiting)          -\n"
            "next   loading\n"
            "2.00 GiB of memory left for models (free memory)\n");
  EXPECT_EQ(ModelsInMemory(answer["models"]).size(), 3u);
  EXPECT_EQ(RenderServerModels(Json::parse(R"({"models": [], "memory": {"limited_by": "--ram"}})")),
            "no model is loaded\n0 B of memory left for models (--ram)\n");
}

TEST(ServerReport, AnswersOfAnyShapeAreNoCrash) {
  for (const char* text : {"{}", R"({"models": 5})", R"({"models": [5, {"state": "loaded", "loaded": 7}]})"}) {
    EXPECT_NE(RenderServerModels(Json::parse(text)), "") << text;
  }
}

TEST(ServerReport, WhatIsWaitedFor) {
  EXPECT_EQ(LoadProgressText(Json::parse(R"({"phase": "reading", "done_bytes": 0, "total_bytes": 1024})")),
            "reading weights: 0 B of 1.00 KiB");
  EXPECT_EQ(WaitingText(Json::parse(R"({"for": "turn", "place": 4, "expected_s": 40.2})")),
            "waiting for its turn, 3 before it, about 40 s");
  EXPECT_EQ(WaitingText(Json::parse(R"({"for": "load", "place": null, "expected_s": null, "detail": "x ends"})")),
            "waiting for the model to be loaded: x ends");
}

}  // namespace
}  // namespace headrace::client
