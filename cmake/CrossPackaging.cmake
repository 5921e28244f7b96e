# For CPack, of a build for another architecture than this system's: dpkg-shlibdeps finds the libraries, and the packages that they are of, in the
# sysroot (scripts/install-sysroot.sh).
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${HEADRACE_SYSROOT}/usr/lib/aarch64-linux-gnu ${HEADRACE_SYSROOT}/lib/aarch64-linux-gnu)
set(CPACK_PROJECT_CONFIG_FILE ${CMAKE_BINARY_DIR}/packaging/cross.cmake)
# Without the database CPack would make a package that needs nothing, and say nothing.
file(WRITE ${CPACK_PROJECT_CONFIG_FILE} "set(ENV{DPKG_ADMINDIR} \"${HEADRACE_SYSROOT}/var/lib/dpkg\")
if(NOT EXISTS \"\$ENV{DPKG_ADMINDIR}/status\")
  message(FATAL_ERROR \"\$ENV{DPKG_ADMINDIR} is no database of dpkg: remove the sysroot, then run make arm64\")
endif()
")
