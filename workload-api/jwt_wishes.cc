// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/jwt_wishes.h"

#include <optional>

#include "assay/roles.pb.h"
#include "workload-api/jwt_svid_key_convert.h"

namespace assay {
namespace {

constexpr char kTooMany[] = "too many JWT-SVIDs are being fetched";

}  // namespace

absl::Status JwtWishes::Add(const JwtSvidKey& key, Kind kind, JwtWaiter& waiter) {
  const bool own = kind == Kind::kOwn;
  if (const auto known = numbers_.find({0, key}); !own && known != numbers_.end()) {
    wishes_.at(known->second).waiters.insert(&waiter);
    waiter.wishes_.insert(known->second);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(MakeRoom(key.entry_id));
  const uint64_t number = ++last_number_;
  Wish& wish = wishes_[number];
  wish.request = {own ? number : 0, key};
  wish.renews = kind == Kind::kNewer;
  wish.waiters.insert(&waiter);
  waiter.wishes_.insert(number);
  numbers_[wish.request] = number;
  places_.Add(key.entry_id, number);
  // What it was asked for before, it still has.
  wish.told = forgotten_.erase(wish.request) > 0;
  if (!wish.told) {
    to_tell_.Push(key.entry_id, number);
    Pump();
  }
  return absl::OkStatus();
}

absl::Status JwtWishes::MakeRoom(const std::string& entry_id) {
  if (places_.size() < kMost) {
    return absl::OkStatus();
  }
  const std::optional<uint64_t> number = places_.YoungestOfLarger(entry_id);
  if (!number.has_value()) {
    return ResourceExhausted("{}", kTooMany);
  }
  const std::set<JwtWaiter*> waiters = wishes_.at(*number).waiters;
  const JwtSvidKey key = wishes_.at(*number).request.second;
  for (JwtWaiter* waiter : waiters) {
    waiter->wishes_.erase(*number);
  }
  Drop(*number);
  for (JwtWaiter* waiter : waiters) {
    waiter->OnJwtFailure(key, kTooMany);
  }
  return absl::OkStatus();
}

void JwtWishes::Forget(JwtWaiter& waiter) {
  for (const uint64_t number : std::exchange(waiter.wishes_, {})) {
    std::set<JwtWaiter*>& waiters = wishes_.at(number).waiters;
    waiters.erase(&waiter);
    if (waiters.empty()) {
      Drop(number);
    }
  }
}

void JwtWishes::Drop(uint64_t number) {
  const auto at = wishes_.find(number);
  if (at->second.told) {
    forgotten_.insert(at->second.request);
  }
  Remove(at);
  Pump();
}

void JwtWishes::Remove(std::map<uint64_t, Wish>::iterator at) {
  places_.Remove(at->second.entry(), at->first);
  to_tell_.Remove(at->second.entry(), at->first);
  numbers_.erase(at->second.request);
  wishes_.erase(at);
}

std::vector<JwtWaiter*> JwtWishes::Take(const JwtSvidKey& key, uint64_t request) {
  const auto found = numbers_.find({request, key});
  if (found == numbers_.end()) {
    return {};
  }
  const auto at = wishes_.find(found->second);
  const std::vector<JwtWaiter*> waiters(at->second.waiters.begin(), at->second.waiters.end());
  for (JwtWaiter* waiter : waiters) {
    waiter->wishes_.erase(at->first);
  }
  Remove(at);
  return waiters;
}

void JwtWishes::AskAgain() {
  forgotten_.clear();
  for (auto& [number, wish] : wishes_) {
    wish.told = false;
    to_tell_.Push(wish.entry(), number);
  }
  Pump();
}

void JwtWishes::Pump() {
  if (retry_timer_ == 0 && !(TellForgotten() && TellWanted())) {
    retry_timer_ = loop_.After(kRetry, [this] {
      retry_timer_ = 0;
      Pump();
    });
  }
}

// Before anything new, so that it never has more to forget than it was told of.
bool JwtWishes::TellForgotten() {
  while (!forgotten_.empty()) {
    const auto& [request, key] = *forgotten_.begin();
    roles::ServeRequest message;
    Fill(key, *message.mutable_forget_jwt()->mutable_key());
    message.mutable_forget_jwt()->set_request(request);
    if (!tell_(message)) {
      return false;
    }
    forgotten_.erase(forgotten_.begin());
  }
  return true;
}

bool JwtWishes::TellWanted() {
  while (const std::optional<uint64_t> number = to_tell_.Front()) {
    Wish& wish = wishes_.at(*number);
    roles::ServeRequest message;
    Fill(wish.request.second, *message.mutable_mint_jwt()->mutable_key());
    message.mutable_mint_jwt()->set_request(wish.request.first);
    message.mutable_mint_jwt()->set_renews(wish.renews);
    if (!tell_(message)) {
      return false;
    }
    wish.told = true;
    to_tell_.Pop();
  }
  return true;
}

}  // namespace assay
