# headrace::engine: the public headers and libraries of the llama.cpp prefix, for programs that run
# inside it. Its libraries need a newer libc than this system may have; such programs use the prefix's
# own loader, as its own programs do.
file(GLOB_RECURSE engine_llama "${HEADRACE_ENGINE}/*/libllama.so")
if(NOT engine_llama)
  message(FATAL_ERROR "No llama.cpp in ${HEADRACE_ENGINE}. Run scripts/install-engine.sh ${HEADRACE_ENGINE}, "
                      "or set HEADRACE_ENGINE to the prefix of one that is installed.")
endif()
list(GET engine_llama 0 engine_llama)
get_filename_component(HEADRACE_ENGINE_LIB "${engine_llama}" DIRECTORY)
find_path(HEADRACE_ENGINE_INCLUDE llama.h HINTS "${HEADRACE_ENGINE}/usr/include" "${HEADRACE_ENGINE}/include"
          NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH REQUIRED)
file(GLOB engine_loader "${HEADRACE_ENGINE_LIB}/ld-linux-*.so.*")

# The engine's headers without its libc's: -idirafter puts the prefix behind the system's own folders.
add_library(headrace_engine_headers INTERFACE)
target_compile_options(headrace_engine_headers INTERFACE "SHELL:-idirafter ${HEADRACE_ENGINE_INCLUDE}")

add_library(headrace_llama INTERFACE)
target_link_libraries(headrace_llama INTERFACE headrace_engine_headers
  ${HEADRACE_ENGINE_LIB}/libllama.so ${HEADRACE_ENGINE_LIB}/libggml.so ${HEADRACE_ENGINE_LIB}/libggml-base.so)
target_link_options(headrace_llama INTERFACE -Wl,--allow-shlib-undefined -Wl,--disable-new-dtags
  -Wl,-rpath,${HEADRACE_ENGINE_LIB})
if(engine_loader)
  list(GET engine_loader 0 engine_loader)
  target_link_options(headrace_llama INTERFACE -Wl,--dynamic-linker=${engine_loader})
endif()

# ggml looks for its CPU variants beside the program: links them into a program's folder.
function(headrace_link_backends dir)
  file(GLOB backends "${HEADRACE_ENGINE_LIB}/ggml/backends*/*.so")
  file(MAKE_DIRECTORY ${dir})
  foreach(backend ${backends})
    get_filename_component(name ${backend} NAME)
    file(CREATE_LINK ${backend} ${dir}/${name} SYMBOLIC)
  endforeach()
endfunction()
