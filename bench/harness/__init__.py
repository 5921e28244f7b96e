"""Parts of bench/run.py: measuring headrace beside stock llama.cpp. Python standard library only."""
