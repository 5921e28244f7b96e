# For CPack, of a build for another architecture than this system's. dpkg-shlibdeps asks the packages that are installed, and those of the sysroot
# (scripts/install-sysroot.sh) are not: what the command needs is named. A test looks for each of its libraries here.
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
set(CPACK_DEBIAN_HEADRACE_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS OFF)
set(CPACK_DEBIAN_HEADRACE_PACKAGE_DEPENDS "libc6 (>= 2.36), libcurl4 (>= 7.66.0), libedit2 (>= 2.11-20080614-0), libgcc-s1 (>= 3.4), libncursesw6 (>= 6), \
libssl3 (>= 3.0.0), libstdc++6 (>= 12), libtinfo6 (>= 6)")
