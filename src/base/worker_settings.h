// What `headrace worker` tells the library that it loads into a program of the engine (worker/): environment variables.
#pragma once

namespace headrace {

inline constexpr const char* kWorkerListenVariable = "HEADRACE_WORKER_LISTEN";    // "127.0.0.1:50052"
inline constexpr const char* kWorkerRamVariable = "HEADRACE_WORKER_RAM";          // bytes, of the whole process
inline constexpr const char* kWorkerThreadsVariable = "HEADRACE_WORKER_THREADS";  // a number
inline constexpr const char* kWorkerCacheVariable = "HEADRACE_WORKER_CACHE";      // a folder that exists; unset: none
inline constexpr const char* kWorkerCacheBytesVariable = "HEADRACE_WORKER_CACHE_BYTES";  // the most that lies there

// On standard output, with the address, once it listens.
inline constexpr const char* kWorkerListensLine = "headrace worker: ";

// Exit statuses of the program that has become a worker.
inline constexpr int kWorkerNoBackend = 78;  // the engine has no RPC backend, or an old one
inline constexpr int kWorkerNoMemory = 79;   // the budget holds nothing beside the program itself
inline constexpr int kWorkerNoAddress = 80;  // it cannot listen there

}  // namespace headrace
