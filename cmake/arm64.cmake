# CMake's toolchain file for arm64: Debian's cross compiler, the libraries that scripts/install-sysroot.sh fetched, and emulation for what is
# built and run (make arm64).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
# As in a Debian of that architecture.
set(CMAKE_INSTALL_LIBDIR lib/aarch64-linux-gnu CACHE STRING "Folder of libraries")

set(HEADRACE_SYSROOT "${CMAKE_CURRENT_LIST_DIR}/../build/arm64-sysroot" CACHE PATH "arm64 libraries (scripts/install-sysroot.sh)")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES HEADRACE_SYSROOT)
set(CMAKE_SYSROOT "${HEADRACE_SYSROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -L "${HEADRACE_SYSROOT}")
