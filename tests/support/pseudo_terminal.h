// The headrace command on a terminal of a given size.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace headrace::cli {

class PseudoTerminal {
 public:
  PseudoTerminal(const std::vector<std::string>& words, std::map<std::string, std::string> environment,
                 unsigned short columns, unsigned short lines);
  ~PseudoTerminal();
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;

  // Waits until what was drawn since the last Forget contains `text`; false after 60 s or at its end.
  bool WaitFor(const std::string& text);
  void Forget() { drawn_.clear(); }
  const std::string& drawn() const { return drawn_; }
  void Type(const std::string& keys);
  void Resize(unsigned short columns, unsigned short lines);
  // Waits for its end: the exit status, 128 + signal, or -1 after 30 s.
  int Finish();

 private:
  bool Read();

  pid_t pid_ = -1;
  int terminal_ = -1;
  std::string drawn_;
};

}  // namespace headrace::cli
