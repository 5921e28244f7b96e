#!/bin/sh
# make bench: measures headrace beside stock llama.cpp. All options are those of run.py (--help).
exec python3 "$(dirname "$0")/run.py" "$@"
