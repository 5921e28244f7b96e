#include "serve/api/endpoints.h"

#include <gtest/gtest.h>

namespace headrace::serve {
namespace {

TEST(Endpoints, OnlyWorkLoadsAModel) {
  for (const char* path :
       {"/v1/chat/completions", "/completion", "/v1/embeddings", "/rerank", "/tokenize", "/v1/messages"}) {
    EXPECT_TRUE(EndpointOf(path).post_loads && EndpointOf(path).posted) << path;
    EXPECT_FALSE(EndpointOf(path).read) << path;
  }
  for (const char* path :
       {"/", "/index.html", "/v1", "/v1/chat/completions/", "//v1/chat/completions", "/V1/chat/completions", "/slots",
        "/slots/0", "/metrics", "/lora-adapters", "/props", "/anything", ""}) {
    EXPECT_FALSE(EndpointOf(path).post_loads) << path;
  }
  EXPECT_TRUE(EndpointOf("/props").read_loads);
  EXPECT_FALSE(EndpointOf("/slots").read_loads) << "whoever watches a model keeps none loaded";
  EXPECT_TRUE(EndpointOf("/slots").read && EndpointOf("/slots/3").posted);
}

}  // namespace
}  // namespace headrace::serve
