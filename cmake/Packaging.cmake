# cmake --install, find_package(headrace), and two Debian packages: headrace, and headrace-dev for programs that link the library.
include(CMakePackageConfigHelpers)

# What the command prints itself.
set(papers ${CMAKE_BINARY_DIR}/papers)
string(REPLACE ";" "|" emulator "${CMAKE_CROSSCOMPILING_EMULATOR}")
if(emulator)
  string(APPEND emulator "|")
endif()
add_custom_command(OUTPUT ${papers}/complete
  COMMAND ${CMAKE_COMMAND} -D "COMMAND=${emulator}$<TARGET_FILE:headrace_command>" -D OUTPUT=${papers} -P ${CMAKE_SOURCE_DIR}/cmake/Papers.cmake
  DEPENDS headrace_command ${CMAKE_SOURCE_DIR}/cmake/Papers.cmake VERBATIM)
add_custom_target(headrace_papers ALL DEPENDS ${papers}/complete)
# Those who install build what is installed, not everything: make install, make deb.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)

set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME headrace)
set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
install(TARGETS headrace EXPORT headraceTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} NAMELINK_COMPONENT headrace-dev)
install(TARGETS headrace_worker_seam LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/headrace)
install(TARGETS headrace_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(PROGRAMS ${CMAKE_SOURCE_DIR}/scripts/install-engine.sh DESTINATION ${CMAKE_INSTALL_DATADIR}/headrace)
install(FILES ${CMAKE_SOURCE_DIR}/scripts/debian-packages.sh ${CMAKE_SOURCE_DIR}/scripts/tested-engine DESTINATION ${CMAKE_INSTALL_DATADIR}/headrace)
# For `headrace engine check`, and to try it with.
install(FILES ${CMAKE_SOURCE_DIR}/models/austen-dense-q4_0.gguf ${CMAKE_SOURCE_DIR}/models/austen-moe-q4_0.gguf
        DESTINATION ${CMAKE_INSTALL_DATADIR}/headrace/models)
install(DIRECTORY ${papers}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
install(FILES ${papers}/headrace.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME headrace)
install(FILES ${papers}/_headrace DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${papers}/headrace.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES ${CMAKE_SOURCE_DIR}/packaging/headrace.service DESTINATION lib/systemd/user)

install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/headrace DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT headrace-dev)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/headrace)
install(EXPORT headraceTargets NAMESPACE headrace:: DESTINATION ${package_dir} COMPONENT headrace-dev)
file(WRITE ${CMAKE_BINARY_DIR}/headraceConfig.cmake
     "include(\${CMAKE_CURRENT_LIST_DIR}/headraceTargets.cmake)\n")
write_basic_package_version_file(${CMAKE_BINARY_DIR}/headraceConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_BINARY_DIR}/headraceConfig.cmake ${CMAKE_BINARY_DIR}/headraceConfigVersion.cmake
        DESTINATION ${package_dir} COMPONENT headrace-dev)

# The papers that every Debian package has.
string(TIMESTAMP package_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
set(maintainer "headrace authors <headrace@example.org>")
file(WRITE ${CMAKE_BINARY_DIR}/changelog "headrace (${PROJECT_VERSION}) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- ${maintainer}  ${package_date}\n")
execute_process(COMMAND gzip -9nf ${CMAKE_BINARY_DIR}/changelog COMMAND_ERROR_IS_FATAL ANY)
file(READ ${CMAKE_SOURCE_DIR}/LICENSE license)
string(REGEX MATCH "Copyright [^\n]*" copyright "${license}")
string(REGEX REPLACE "\n" "\n " license "${license}")
string(REPLACE "\n \n" "\n .\n" license "${license}")
string(STRIP "${license}" license)
file(WRITE ${CMAKE_BINARY_DIR}/copyright "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
     "Files: *\n${copyright}\nLicense: Expat\n ${license}\n")
# The libraries in the program, with what their packages say of them.
foreach(package libjs-markdown-it node-dompurify libjs-highlight.js libjs-katex fonts-katex libjs-pdf)
  install(FILES /usr/share/doc/${package}/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/headrace RENAME copyright.${package})
endforeach()
foreach(package headrace headrace-dev)
  install(FILES ${CMAKE_BINARY_DIR}/changelog.gz ${CMAKE_BINARY_DIR}/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${package})
endforeach()

# What lintian warns of and stays: the library is the command's own, preloaded into llama.cpp, so that no package has the name of its soname; CPack
# writes scripts that call ldconfig beside the trigger.
file(WRITE ${CMAKE_BINARY_DIR}/packaging/headrace "headrace: package-name-doesnt-match-sonames libheadrace0\n"
     "headrace: maintscript-calls-ldconfig *\n")
install(FILES ${CMAKE_BINARY_DIR}/packaging/headrace DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides)

# What scripts/uninstall.sh removes; a Debian package has its own list. The last rule, so that it knows all files.
install(CODE [[
  if(NOT CMAKE_INSTALL_COMPONENT)
    string(REPLACE "${CMAKE_INSTALL_PREFIX}/" "" installed "${CMAKE_INSTALL_MANIFEST_FILES}")
    string(REPLACE ";" "\n" installed "${installed}")
    file(WRITE "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/share/headrace/installed" "${installed}\n")
  endif()]])

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME headrace)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS ${CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS})
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL headrace headrace-dev)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${maintainer}")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_HEADRACE_PACKAGE_NAME headrace)
set(CPACK_DEBIAN_HEADRACE_PACKAGE_SECTION science)
set(CPACK_DEBIAN_HEADRACE_PACKAGE_SHLIBDEPS ON)
if(CMAKE_CROSSCOMPILING)
  include(CrossPackaging)
endif()
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
# Of the linker's cache.
file(WRITE ${CMAKE_BINARY_DIR}/packaging/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_HEADRACE_PACKAGE_CONTROL_EXTRA ${CMAKE_BINARY_DIR}/packaging/triggers)
# For `headrace engine install`.
set(CPACK_DEBIAN_HEADRACE_PACKAGE_RECOMMENDS "patchelf, debian-archive-keyring, ca-certificates")
set(CPACK_COMPONENT_HEADRACE_DESCRIPTION
    "headrace streams a model's weights from disk while llama.cpp computes, within\n a memory budget that you give. The text stays what llama.cpp would have said.")
set(CPACK_DEBIAN_HEADRACE-DEV_PACKAGE_NAME headrace-dev)
set(CPACK_DEBIAN_HEADRACE-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_HEADRACE-DEV_PACKAGE_DEPENDS "headrace (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_HEADRACE-DEV_DESCRIPTION
    "The C API of headrace and its CMake package: a program that embeds llama.cpp\n sets a memory budget with it and reads what streaming did.")
include(CPack)
