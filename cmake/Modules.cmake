# headrace_module(FOLDER [deps...]): the static library headrace_FOLDER of src/FOLDER, all its *.cpp but the tests; of serve/api headrace_serve_api.
# Dependencies point downwards only (docs/architecture.md); the build enforces it by include paths alone
# in review, by link order here.
function(headrace_module folder)
  string(REPLACE "/" "_" name ${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  add_library(headrace_${name} STATIC ${sources})
  target_include_directories(headrace_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  foreach(dep ${ARGN})
    target_link_libraries(headrace_${name} PUBLIC ${dep})
  endforeach()
  headrace_warnings(headrace_${name})
endfunction()

function(headrace_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers)
  if(HEADRACE_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${HEADRACE_SANITIZE} -fno-omit-frame-pointer
                           $<$<CXX_COMPILER_ID:Clang>:-fno-sanitize=function>)  # which Clang 14 cannot do for coroutines
    target_link_options(${target} PRIVATE -fsanitize=${HEADRACE_SANITIZE})
  endif()
endfunction()

# headrace_precompiled(TARGET HEADERS...): headers that nearly all files of the target include, parsed once. A file still includes what
# it uses. headrace_precompiled_like(TARGETS... AS OTHER): those of another target with the same options.
function(headrace_precompiled target)
  target_precompile_headers(${target} PRIVATE <fmt/format.h> <algorithm> <atomic> <chrono> <filesystem> <fstream> <functional> <map>
    <memory> <mutex> <optional> <set> <span> <string> <string_view> <thread> <unordered_map> <variant> <vector> ${ARGN})
endfunction()

function(headrace_precompiled_like)
  cmake_parse_arguments(PARSE_ARGV 0 like "" "AS" "")
  foreach(target ${like_UNPARSED_ARGUMENTS})
    target_precompile_headers(${target} REUSE_FROM ${like_AS})
  endforeach()
endfunction()
