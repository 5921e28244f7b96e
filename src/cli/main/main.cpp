#include "cli/command_line.h"

int main(int argc, char** argv) { return headrace::cli::RunCommandLine(argc, argv); }
