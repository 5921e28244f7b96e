// Options from a file: ~/.config/headrace/config.toml, $XDG_CONFIG_HOME/headrace/config.toml, or what --config or
// HEADRACE_CONFIG names.
//
//     ram = "12G"                   every command that has such an option
//     [serve]                       one command
//     models-dir = "/data/models"
//
// The command line and HEADRACE_ variables go before. A name that no command has is an error.
#pragma once

namespace CLI {
class App;
}

namespace headrace::cli {

// Adds --config, also behind the name of a command. Before subcommands are added.
void SetUpConfigFile(CLI::App& app);

}  // namespace headrace::cli
