# cmake --install and find_package(headrace).
include(CMakePackageConfigHelpers)

install(TARGETS headrace EXPORT headraceTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS headrace_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/headrace DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(PROGRAMS ${CMAKE_SOURCE_DIR}/scripts/install-engine.sh DESTINATION ${CMAKE_INSTALL_DATADIR}/headrace)
install(FILES ${CMAKE_SOURCE_DIR}/scripts/debian-packages.sh DESTINATION ${CMAKE_INSTALL_DATADIR}/headrace)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/headrace)
install(EXPORT headraceTargets NAMESPACE headrace:: DESTINATION ${package_dir})
file(WRITE ${CMAKE_BINARY_DIR}/headraceConfig.cmake
     "include(\${CMAKE_CURRENT_LIST_DIR}/headraceTargets.cmake)\n")
write_basic_package_version_file(${CMAKE_BINARY_DIR}/headraceConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_BINARY_DIR}/headraceConfig.cmake ${CMAKE_BINARY_DIR}/headraceConfigVersion.cmake
        DESTINATION ${package_dir})
