// Computes one graph while its KV cache passes through memory: layer by layer in the order of attention.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/status.h"
#include "exec/callback_pass.h"
#include "exec/kv_graph.h"
#include "kv/kv_pager.h"

namespace headrace {

// The scheduler's eval callback of a pass that the pager has begun. A layer is awaited before its first node is
// computed and released after its last one; the host's own callback is asked about every node. After a failed
// read nothing touches the cache any more: such nodes are no-ops until the pass has ended.
class KvPass {
 public:
  // All but `host` outlive the pass.
  KvPass(KvPager& pager, const std::vector<KvUse>& uses, const HostCallback& host)
      : pager_(pager), uses_(uses), host_(host) {}
  ~KvPass();
  KvPass(const KvPass&) = delete;
  KvPass& operator=(const KvPass&) = delete;

  HostCallback callback() { return {&KvPass::OnNode, this}; }
  const Status& failure() const { return failure_; }

 private:
  static bool OnNode(ggml_tensor* node, bool ask, void* self) noexcept;
  bool Ask(ggml_tensor* node);
  bool Answer(ggml_tensor* node);

  KvPager& pager_;
  const std::vector<KvUse>& uses_;
  const HostCallback host_;
  size_t turn_ = 0;          // the use whose turn is next
  bool host_wants_ = false;  // the host's answer for the node asked about last
  Status failure_;
  std::vector<std::pair<ggml_tensor*, ggml_op>> left_out_;  // nodes that are no-ops at present
};

}  // namespace headrace
