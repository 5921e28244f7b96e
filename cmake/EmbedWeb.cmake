# cmake -D WEB=DIR -D OUTPUT=FILE.cpp -P EmbedWeb.cmake: the files of DIR as the table of src/http/web_files.h.
file(GLOB_RECURSE files RELATIVE ${WEB} ${WEB}/*)
list(SORT files)
set(data "")
set(table "")
set(number 0)
foreach(file ${files})
  file(READ ${WEB}/${file} hex HEX)
  file(SHA256 ${WEB}/${file} hash)
  string(SUBSTRING ${hash} 0 16 hash)
  string(LENGTH "${hex}" digits)
  math(EXPR bytes "${digits} / 2")
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," hex "${hex}")
  # A file may be empty, an array may not.
  string(APPEND data "const char kFile${number}[] = {${hex}0};\n")
  string(APPEND table "    {\"/${file}\", {kFile${number}, ${bytes}}, \"${hash}\"},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUTPUT}.new "#include \"http/web_files.h\"\n\nnamespace headrace::serve {\nnamespace {\n\n${data}\n"
     "const WebFile kFiles[] = {\n${table}};\n\n}  // namespace\n\n"
     "std::span<const WebFile> WebFiles() { return kFiles; }\n\n}  // namespace headrace::serve\n")
file(RENAME ${OUTPUT}.new ${OUTPUT})
