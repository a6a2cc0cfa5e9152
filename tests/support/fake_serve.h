// SPDX-License-Identifier: GPL-3.0-or-later
// What the serve role would know from the packets that it was sent.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "assay/roles.pb.h"

namespace assay {

struct FakeServe {
  std::map<std::string, roles::Entry> entries;
  std::map<std::string, roles::Svid> svids;  // By the entry's id.
  std::map<std::string, roles::Bundle> bundles;
  std::map<std::string, roles::JwtSvid> jwts;  // By entry and audience: "0 a,b".
  std::vector<roles::JwtSvid> own_jwts;
  std::vector<std::string> jwt_failures;
  int64_t last_sync = 0;
  int store_svids = 0;
  int packets = 0, commits = 0;
  bool unready = false;
  uint64_t asked = 0;  // For a report: the last question's number.

  static std::string KeyText(const roles::JwtSvidKey& key) {
    std::string text = key.entry_id();
    char before = ' ';
    for (const std::string& audience : key.audience()) {
      text += std::exchange(before, ',') + audience;
    }
    return text;
  }

  void Take(const roles::StateChange& change) {
    if (change.report() != 0) {
      asked = change.report();
      return;
    }
    ++packets;
    if (change.reset()) {
      entries.clear();
      svids.clear();
      bundles.clear();
    }
    for (const roles::Entry& entry : change.entries()) {
      entries[entry.id()] = entry;
    }
    for (const roles::Svid& svid : change.svids()) {
      svids[svid.entry_id()] = svid;
    }
    for (const roles::Bundle& bundle : change.bundles()) {
      bundles[bundle.trust_domain()] = bundle;
    }
    for (const std::string& id : change.removed_entries()) {
      entries.erase(id);
    }
    for (const std::string& id : change.removed_svids()) {
      svids.erase(id);
    }
    for (const std::string& name : change.removed_bundles()) {
      bundles.erase(name);
    }
    for (const roles::JwtSvidKey& key : change.jwts().removed()) {
      jwts.erase(KeyText(key));
    }
    for (const roles::JwtSvid& svid : change.jwts().svids()) {
      if (svid.request() != 0) {
        own_jwts.push_back(svid);
      } else {
        jwts[KeyText(svid.key())] = svid;
      }
    }
    for (const roles::JwtFailure& failure : change.jwts().failures()) {
      jwt_failures.push_back(failure.error());
    }
    if (change.commit()) {
      ++commits;
      last_sync = change.last_sync();
      unready = change.unready();
      store_svids = change.store_svids();
    }
  }
};

}  // namespace assay
