// SPDX-License-Identifier: GPL-3.0-or-later
// The flags of one command, read as Go's flag package reads them, so that command lines written for
// the reference programs work: "-name value", "-name=value", with one dash or two; a boolean takes
// a value only behind '='; "--" ends the flags.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace assay {

class Arguments final {
 public:
  // Takes the text of a flag's value; the message of a failure says what is wrong with it.
  using Reader = std::function<absl::Status(std::string_view text)>;

  // The command's name heads the usage text: "entry create".
  explicit Arguments(std::string_view command) : command_(command) {}

  // Each declares a flag whose value goes into the field, which must outlive this object. What the
  // field holds now is the default that the usage text shows.
  void Add(std::string_view name, std::string& field, std::string_view help);
  void Add(std::string_view name, bool& field, std::string_view help);
  void Add(std::string_view name, int64_t& field, std::string_view help);
  // With units, as Go writes them: "90s", "1h30m", "-5ms".
  void Add(std::string_view name, absl::Duration& field, std::string_view help);
  // May be given more than once; the values are kept in order.
  void Add(std::string_view name, std::vector<std::string>& field, std::string_view help);
  void Add(std::string_view name, Reader read, std::string_view help);

  // Reads the arguments behind the command. InvalidArgument says which one is wrong and why, in
  // Go's words; Cancelled is a request for help (-h, -help). An argument that is no flag is
  // refused: these commands take none, and flags behind it would be lost in silence.
  absl::Status Parse(const std::vector<std::string>& arguments);
  // Whether the last Parse met this flag.
  bool WasSet(std::string_view name) const;
  // "Usage of entry create:" and the flags by name.
  std::string Usage() const;

 private:
  struct Flag {
    std::string name;
    std::string kind;           // "string"; empty for a boolean.
    std::string default_value;  // As it is shown; empty when there is nothing to show.
    std::string help;
    Reader read;
    bool set = false;
  };

  Flag* Find(std::string_view name);

  const std::string command_;
  std::vector<Flag> flags_;
};

}  // namespace assay
