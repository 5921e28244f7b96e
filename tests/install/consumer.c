/* A program of somebody else's that found headrace with find_package. */
#include <headrace/headrace.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char** argv) {
  struct headrace_config config;
  memset(&config, 0, sizeof config);
  config.struct_size = sizeof config;
  headrace_config_default(&config);
  config.flash_ram_gb = 4;
  if (headrace_configure(&config) != 0) {
    fprintf(stderr, "headrace_configure: %s\n", headrace_last_error());
    return 1;
  }
  struct headrace_stats stats;
  memset(&stats, 0, sizeof stats);
  stats.struct_size = sizeof stats;
  if (headrace_get_stats(&stats) != 0 || stats.streaming != 0 || stats.bytes_read != 0) {
    fprintf(stderr, "headrace_get_stats: something streams already\n");
    return 1;
  }
  /* What is out of range is refused, in words. */
  config.flash_mode = 99;
  if (headrace_configure(&config) == 0 || headrace_last_error()[0] == '\0') {
    fprintf(stderr, "a flash mode of 99 was accepted\n");
    return 1;
  }
  stats.struct_size = 3;
  if (headrace_get_stats(&stats) == 0) {
    fprintf(stderr, "an unknown struct_size was accepted\n");
    return 1;
  }
  if (argc < 2 || strcmp(headrace_version(), argv[1]) != 0) {
    fprintf(stderr, "version %s, expected %s\n", headrace_version(), argc < 2 ? "an argument" : argv[1]);
    return 1;
  }
  printf("headrace %s\n", headrace_version());
  return 0;
}
