// SPDX-License-Identifier: GPL-3.0-or-later
#include "rpc/request_check.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace assay::rpc {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

const Fields kGood = {{":method", "POST"},
                      {":scheme", "http"},
                      {":path", "/a.B/C"},
                      {":authority", "localhost"},
                      {"te", "trailers"}};

bool Takes(RequestCheck& check, const Fields& fields) {
  for (const auto& [name, value] : fields) {
    if (!check.OnField(name, value)) {
      return false;
    }
  }
  return true;
}

bool TakesHeaders(const Fields& fields) {
  RequestCheck check;
  return Takes(check, fields) && check.OnHeadersEnd();
}

Fields With(const std::string& name, const std::string& value) {
  Fields fields = kGood;
  fields.emplace_back(name, value);
  return fields;
}

// kGood with another value for one of its fields.
Fields Where(const std::string& name, const std::string& value) {
  Fields fields = kGood;
  for (auto& field : fields) {
    field.second = field.first == name ? value : field.second;
  }
  return fields;
}

std::string WithNul() { return {'a', '\0', 'b'}; }

TEST(RequestCheckTest, TakesRequestsOfAllClients) {
  EXPECT_TRUE(TakesHeaders(kGood));
  EXPECT_TRUE(TakesHeaders({{":path", "/"}, {":method", "GET"}, {":scheme", "https"}}));
  EXPECT_TRUE(TakesHeaders(With("te", "Trailers")));
  EXPECT_TRUE(TakesHeaders(With("x", "")));
  EXPECT_TRUE(TakesHeaders(With("x", " a ")));
  EXPECT_TRUE(TakesHeaders(With("content-length", "5")));
  for (const char* authority : {"", "/run/assay/api.sock", "unix:///run/api.sock", "[::1]:80"}) {
    EXPECT_TRUE(TakesHeaders(Where(":authority", authority))) << authority;
  }
}

TEST(RequestCheckTest, RefusesPseudoFieldsThatAreWrong) {
  for (const char* name : {":method", ":scheme", ":path"}) {
    Fields fields = kGood;
    std::erase_if(fields, [&](const auto& field) { return field.first == name; });
    EXPECT_FALSE(TakesHeaders(fields)) << "without " << name;
    EXPECT_FALSE(TakesHeaders(Where(name, ""))) << name;
  }
  for (const auto& [name, value] : kGood) {
    if (name.starts_with(':')) {
      EXPECT_FALSE(TakesHeaders(With(name, value))) << name << " behind a field, and again";
      Fields twice = kGood;
      twice.insert(twice.begin(), {name, value});
      EXPECT_FALSE(TakesHeaders(twice)) << name;
      EXPECT_FALSE(TakesHeaders(Where(name, "a\nb"))) << name;
      EXPECT_FALSE(TakesHeaders(Where(name, WithNul()))) << name;
    }
  }
  EXPECT_FALSE(TakesHeaders({{":status", "200"}}));
  EXPECT_FALSE(TakesHeaders({{":protocol", "websocket"}}));
  EXPECT_FALSE(TakesHeaders(Where(":method", "PO ST")));
  EXPECT_FALSE(TakesHeaders(Where(":scheme", "1http")));
  EXPECT_FALSE(TakesHeaders(Where(":scheme", "ht/tp")));
  EXPECT_FALSE(TakesHeaders(Where(":path", "/a b")));
}

TEST(RequestCheckTest, RefusesFieldsThatAreWrong) {
  for (const auto& [name, value] : Fields{{"", "x"},
                                          {"Upper", "x"},
                                          {"sp ace", "x"},
                                          {"nul", WithNul()},
                                          {"line", "a\r\nb"},
                                          {"connection", "close"},
                                          {"keep-alive", "1"},
                                          {"proxy-connection", "x"},
                                          {"transfer-encoding", "chunked"},
                                          {"upgrade", "h2c"},
                                          {"te", "gzip"},
                                          {"content-length", ""},
                                          {"content-length", "-1"},
                                          {"content-length", "5x"},
                                          {"content-length", "99999999999999999999"}}) {
    EXPECT_FALSE(TakesHeaders(With(name, value))) << name << ": " << value;
  }
  RequestCheck check;
  EXPECT_TRUE(check.OnField("content-length", "5"));
  EXPECT_FALSE(check.OnField("content-length", "5"));
}

TEST(RequestCheckTest, TheContentIsAsLongAsItSays) {
  for (const auto& [said, sent] : {std::pair("5", 5), std::pair("0", 0)}) {
    RequestCheck check;
    ASSERT_TRUE(Takes(check, With("content-length", said)) && check.OnHeadersEnd());
    EXPECT_TRUE(check.OnData(static_cast<size_t>(sent)));
    EXPECT_TRUE(check.OnEnd());
    EXPECT_FALSE(check.OnData(1));
  }
  RequestCheck less;
  ASSERT_TRUE(Takes(less, With("content-length", "5")) && less.OnHeadersEnd());
  EXPECT_TRUE(less.OnData(4));
  EXPECT_FALSE(less.OnEnd());
  RequestCheck unsaid;
  ASSERT_TRUE(Takes(unsaid, kGood) && unsaid.OnHeadersEnd());
  EXPECT_TRUE(unsaid.OnData(1 << 20));
  EXPECT_TRUE(unsaid.OnEnd());
}

TEST(RequestCheckTest, TrailersHaveNoPseudoFields) {
  RequestCheck check;
  ASSERT_TRUE(Takes(check, kGood) && check.OnHeadersEnd());
  EXPECT_TRUE(check.OnField("x", "y"));
  EXPECT_TRUE(check.OnField("content-length", "7"));
  EXPECT_TRUE(check.OnEnd());
  RequestCheck bad;
  ASSERT_TRUE(Takes(bad, kGood) && bad.OnHeadersEnd());
  EXPECT_FALSE(bad.OnField(":path", "/"));
}

}  // namespace
}  // namespace assay::rpc
