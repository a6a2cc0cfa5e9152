// SPDX-License-Identifier: GPL-3.0-or-later
// Every option of the authority's configuration file, declared once: SPIRE Server's names, and what
// each does here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "authority/options.h"
#include "base/option_table.h"

namespace assay {

// What reading the text gathers before it is known to be whole.
struct AuthorityDraft {
  explicit AuthorityDraft(AuthorityOptions& o) : options(o) {}

  AuthorityOptions& options;
  std::string trust_domain;
  std::string database_type, connection_string, keys_path;
  std::vector<std::string> ca_country, ca_organization;
  std::string ca_common_name;
  bool has_server = false, has_plugins = false, has_data_store = false, has_key_manager = false;
  bool has_ca_subject = false;
};

// The whole file, and its server block; the fields are the draft's.
OptionTable AuthorityRootOptions(AuthorityDraft& draft);
OptionTable AuthorityServerOptions(AuthorityDraft& draft);

// Reads a plugin's block: its plugin_data by these options. Those of a program of its own are not
// supported.
void ReadPlugin(const ConfigValue& block, OptionTable data, std::string_view path,
                ConfigReport& report);
// Whether the block of a plugin does not say otherwise.
bool IsEnabled(const ConfigValue& block);

}  // namespace assay
