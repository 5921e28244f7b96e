#include "serve/access_log.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace headrace::serve {
namespace {

TEST(AccessLog, ShowsNoSecretsAndNothingThatBreaksALine) {
  EXPECT_EQ(ShownTarget("/v1/models?model=a&once=1"), "/v1/models?model=a&once=1");
  EXPECT_EQ(ShownTarget("/x?api_key=abc&KEY=b&a%70i_key=c&access_token=d&empty=&flag"),
            "/x?api_key=***&KEY=***&a%70i_key=***&access_token=***&empty=&flag");
  EXPECT_EQ(ShownTarget("http://me:password@host/a?b=1"), "/a?b=1");
  EXPECT_EQ(ShownTarget("http://me:password@host"), "");
  EXPECT_EQ(ShownTarget("/a b\n\"\\\xff"), "/a%20b%0A%22%5C%FF");
}

RequestRecord Hostile() {
  RequestRecord record;
  record.time = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'042));
  record.remote = "::1";
  record.method = "PO\"ST";
  record.target = "/\xff\"\n?key=secret";
  record.status = 200;
  record.bytes = 12;
  record.model = "m\xff\n\"x";
  record.computed_from = record.begin + std::chrono::milliseconds(250);
  record.tokens_in = 3;
  return record;
}

TEST(AccessLog, JsonIsJsonWhateverIsInIt) {
  const RequestRecord record = Hostile();
  const std::string line = AccessLine(record, LogFormat::kJson, record.begin + std::chrono::milliseconds(1500));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const Json json = JsonOrNull(line);
  ASSERT_TRUE(json.is_object()) << line;
  EXPECT_EQ(json["time"], "2023-11-14T22:13:20.042Z");
  EXPECT_EQ(json["path"], "/%FF%22%0A?key=***");
  EXPECT_EQ(json["duration_s"], 1.5);
  EXPECT_EQ(json["waited_s"], 0.25);
  EXPECT_EQ(json["tokens_in"], 3);
  EXPECT_EQ(json["tokens_out"], nullptr);
  EXPECT_EQ(JsonOrNull(AccessLine(RequestRecord(), LogFormat::kJson, Clock::now()))["path"], nullptr);
}

TEST(AccessLog, TextIsOneLineOfWords) {
  RequestRecord record = Hostile();
  record.gone = true;
  EXPECT_EQ(AccessLine(record, LogFormat::kText, record.begin + std::chrono::milliseconds(1500)),
            "2023-11-14T22:13:20.042Z ::1 PO%22ST /%FF%22%0A?key=*** 200 12 1.500s model=m%FF%0A%22x in=3 "
            "waited=0.250s left\n");
}

}  // namespace
}  // namespace headrace::serve
