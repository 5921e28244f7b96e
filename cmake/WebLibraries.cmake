# What the page shows answers with: Debian's packages of well-known libraries, staged as WEB_LIBRARIES/lib/... for cmake/EmbedWeb.cmake.
set(WEB_LIBRARIES ${CMAKE_BINARY_DIR}/web_libraries)

# web_library(PACKAGE FOLDER FILE... [INTO FOLDER]): files of a folder that PACKAGE installs.
function(web_library package folder)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "INTO" "")
  foreach(file ${arg_UNPARSED_ARGUMENTS})
    if(NOT EXISTS ${folder}/${file})
      message(FATAL_ERROR "The page needs ${folder}/${file} of the Debian package ${package}: apt-get install ${package}, or scripts/install-packages.sh build")
    endif()
    configure_file(${folder}/${file} ${WEB_LIBRARIES}/lib/${arg_INTO}/${file} COPYONLY)
  endforeach()
endfunction()

set(katex_fonts AMS-Regular Caligraphic-Bold Caligraphic-Regular Fraktur-Bold Fraktur-Regular Main-Bold Main-BoldItalic Main-Italic Main-Regular Math-BoldItalic
                Math-Italic SansSerif-Bold SansSerif-Italic SansSerif-Regular Script-Regular Size1-Regular Size2-Regular Size3-Regular Size4-Regular Typewriter-Regular)
list(TRANSFORM katex_fonts REPLACE "(.+)" "KaTeX_\\1.woff2")

web_library(libjs-markdown-it /usr/share/javascript/markdown-it markdown-it.js)
web_library(node-dompurify /usr/share/nodejs/dompurify/dist purify.es.js)
web_library(libjs-highlight.js /usr/share/javascript/highlight.js highlight.min.js)
web_library(libjs-katex /usr/share/javascript/katex katex.js katex.min.css)
web_library(libjs-pdf /usr/share/javascript/pdf/build pdf.js pdf.worker.js)
web_library(fonts-katex /usr/share/fonts/truetype/katex ${katex_fonts} INTO fonts)
