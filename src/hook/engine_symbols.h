// The engine's own functions behind the ones that the library defines.
//
// The library's definitions come first in every program's symbol search, also for libraries that were
// opened with dlopen and local scope. The functions behind them are then in no scope that RTLD_NEXT
// searches: they are found through the library that made the call.
#pragma once

#include <dlfcn.h>

namespace headrace {

// The definition of `name` that the code at `return_address` would have got without this library, or null.
inline void* FindBehind(const char* name, void* return_address) {
  Dl_info caller{};
  void* found = nullptr;
  if (::dladdr(return_address, &caller) != 0 && caller.dli_fname != nullptr) {
    if (void* library = ::dlopen(caller.dli_fname, RTLD_NOLOAD | RTLD_LAZY)) {
      found = ::dlsym(library, name);
      ::dlclose(library);  // it stays loaded: the caller is in it
    }
  }
  Dl_info own{}, target{};
  const bool ours = found != nullptr && ::dladdr(found, &target) != 0 &&
                    ::dladdr(reinterpret_cast<void*>(&FindBehind), &own) != 0 && own.dli_fbase == target.dli_fbase;
  if (found == nullptr || ours) found = ::dlsym(RTLD_NEXT, name);
  return found;
}

// The type alone: were its address taken, unoptimised code would need the engine's function when the library is loaded,
// and programs that open the engine later have none then.
template <typename Function>
Function* Behind(const char* name, void* return_address) {
  return reinterpret_cast<Function*>(FindBehind(name, return_address));
}

}  // namespace headrace

// The engine's `name`, seen from the caller of the present function.
#define HEADRACE_BEHIND(name) ::headrace::Behind<decltype(::name)>(#name, __builtin_return_address(0))
