// The header serves C++ too, whatever its standard.
#include <headrace/headrace.h>

int main() { return headrace_version()[0] != '\0' ? 0 : 1; }
