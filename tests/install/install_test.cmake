# Installs the build into a fresh prefix, moves the prefix, and builds and runs a consumer that finds headrace
# there with find_package.
#
#   cmake -D BUILD=<build folder> -D WORK=<scratch folder> -D VERSION=<of the project> -P install_test.cmake
foreach(variable BUILD WORK VERSION)
  if(NOT DEFINED ${variable})
    message(FATAL_ERROR "-D ${variable}=... is missing")
  endif()
endforeach()

# run(WHAT command...): fails the test with the command's output.
function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out TIMEOUT 120)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${what} failed (${code}):\n${out}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK}/source)
run("cmake --install" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/staging)
# An installed tree may be moved: nothing in it names the place it was installed to.
file(RENAME ${WORK}/staging ${WORK}/prefix)

file(GLOB_RECURSE libraries ${WORK}/prefix/lib*/libheadrace.so)
if(NOT libraries)
  message(FATAL_ERROR "libheadrace.so was not installed")
endif()
foreach(file bin/headrace include/headrace/headrace.h share/man/man1/headrace.1.gz share/man/man1/headrace-run.1.gz
        share/bash-completion/completions/headrace share/zsh/vendor-completions/_headrace share/fish/vendor_completions.d/headrace.fish
        lib/systemd/user/headrace.service)
  if(NOT EXISTS ${WORK}/prefix/${file})
    message(FATAL_ERROR "${file} was not installed")
  endif()
endforeach()
run("the installed headrace --version" ${WORK}/prefix/bin/headrace --version)
if(NOT output MATCHES "${VERSION}")
  message(FATAL_ERROR "headrace --version says '${output}', not ${VERSION}")
endif()

file(COPY ${CMAKE_CURRENT_LIST_DIR}/consumer.c ${CMAKE_CURRENT_LIST_DIR}/consumer.cpp DESTINATION ${WORK}/source)
configure_file(${CMAKE_CURRENT_LIST_DIR}/consumer.cmake ${WORK}/source/CMakeLists.txt COPYONLY)
run("configuring the consumer" ${CMAKE_COMMAND} -S ${WORK}/source -B ${WORK}/build
    -D CMAKE_PREFIX_PATH=${WORK}/prefix -D EXPECTED_VERSION=${VERSION})
run("building the consumer" ${CMAKE_COMMAND} --build ${WORK}/build)
run("the C consumer" ${WORK}/build/consumer_c ${VERSION})
run("the C++ consumer" ${WORK}/build/consumer_cpp)

# The preloaded library, wherever it is installed, leaves other programs alone.
list(GET libraries 0 library)
run("a preloaded program" ${CMAKE_COMMAND} -E env LD_PRELOAD=${library} ${CMAKE_COMMAND} -E echo hello)
if(NOT output STREQUAL "hello\n")
  message(FATAL_ERROR "with the library preloaded, echo hello says '${output}'")
endif()

# Its releases are told.
file(READ ${CMAKE_CURRENT_LIST_DIR}/../../CHANGELOG.md changes)
string(FIND "${changes}" "\n## ${VERSION}\n" section)
if(section EQUAL -1)
  message(FATAL_ERROR "CHANGELOG.md has no section ${VERSION}")
endif()

# make uninstall takes it away, and what others put there stays: FOLDER, and make's variables that mean it.
function(uninstall folder)
  file(WRITE ${folder}/bin/other "")
  run("make uninstall" make -s -C ${CMAKE_CURRENT_LIST_DIR}/../.. uninstall ${ARGN})
  file(GLOB_RECURSE left LIST_DIRECTORIES true RELATIVE ${folder} ${folder}/*)
  if(NOT left STREQUAL "bin;bin/other")
    message(FATAL_ERROR "make uninstall leaves ${left}")
  endif()
endfunction()
uninstall(${WORK}/prefix PREFIX=${WORK}/prefix)
run("cmake --install with DESTDIR" ${CMAKE_COMMAND} -E env DESTDIR=${WORK}/destination ${CMAKE_COMMAND} --install ${BUILD} --prefix /opt/headrace)
uninstall(${WORK}/destination/opt/headrace DESTDIR=${WORK}/destination PREFIX=/opt/headrace)
# What is not there is not taken away in silence.
execute_process(COMMAND make -s -C ${CMAKE_CURRENT_LIST_DIR}/../.. uninstall PREFIX=${WORK}/prefix RESULT_VARIABLE code ERROR_VARIABLE out)
if(code EQUAL 0 OR NOT out MATCHES "was not installed into ${WORK}/prefix by make install")
  message(FATAL_ERROR "a second make uninstall (${code}) says:\n${out}")
endif()
file(REMOVE_RECURSE ${WORK})
