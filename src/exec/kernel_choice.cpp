#include "exec/kernel_choice.h"

namespace headrace {

Snapshot::KernelChoice KernelChoice::ForDecode() const {
  bool plain = kernels_ == Kernels::kPlain, packed = kernels_ == Kernels::kRepack;
  for (const auto& [key, pays_from] : pays_from_) {
    if (!key.second) (PackStreamed(key.first, 1) ? packed : plain) = true;
  }
  for (const auto& [type, cached] : cache_packed_) packed = packed || cached;
  return plain && packed ? Snapshot::kMixed : packed ? Snapshot::kRepack : Snapshot::kPlain;
}

}  // namespace headrace
