#include "http/event_reader.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

using Events = std::vector<std::string>;

TEST(EventReader, IsTheSameHoweverTheStreamIsCut) {
  const std::string stream =
      ": a comment\n\ndata: {\"a\": 1}\n\nevent: error\r\ndata:x\r\ndata: y\r\n\r\ndata:\n\nid: 7\n\ndata: "
      "[DONE]\n\ndata: cut";
  const Events whole = {"{\"a\": 1}", "x\ny", "", "[DONE]"};
  for (size_t size = 1; size <= stream.size(); ++size) {
    EventReader reader;
    Events events;
    for (size_t begin = 0; begin < stream.size(); begin += size) {
      for (std::string& event : reader.Feed(std::string_view(stream).substr(begin, size)))
        events.push_back(std::move(event));
    }
    EXPECT_EQ(events, whole) << "pieces of " << size;
  }
}

}  // namespace
}  // namespace headrace::serve
