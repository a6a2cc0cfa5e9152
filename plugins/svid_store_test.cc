// SPDX-License-Identifier: GPL-3.0-or-later
#include "plugins/svid_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spire/plugin/agent/svidstore/v1/svidstore.pb.h"
#include "tests/support/fake_plugin.h"

namespace assay {
namespace {

namespace svidstore = spire::plugin::agent::svidstore::v1;

using testing::ElementsAre;
using testing::StartsWith;

constexpr std::string_view kService = "/spire.plugin.agent.svidstore.v1.SVIDStore/";

class SvidStorePluginTest : public testing::Test {
 protected:
  template <typename Request, typename Response>
  void On(std::string_view method, Request& seen, absl::Status status = absl::OkStatus()) {
    server_.On<Request, Response>(
        std::string(kService) + std::string(method),
        [&seen, status](const Request& request) -> absl::StatusOr<Response> {
          seen = request;
          if (!status.ok()) {
            return status;
          }
          return Response();
        });
  }
  void Start() {
    server_.Start();
    connection_.Connect(server_.Connect());
  }

  FakePluginServer server_;
  PluginConnection connection_{{PluginType::kSvidStore, "disk"}, [] {}};
  SvidStorePlugin store_{connection_};
};

TEST_F(SvidStorePluginTest, PutsTheWholeSvid) {
  svidstore::PutX509SVIDRequest seen;
  On<svidstore::PutX509SVIDRequest, svidstore::PutX509SVIDResponse>("PutX509SVID", seen);
  Start();
  StoredSvid svid{.spiffe_id = "spiffe://example.org/w",
                  .chain = {"leaf", "between"},
                  .key = Secret("key"),
                  .bundle = {"root"},
                  .expires_at = 17,
                  .federated_bundles = {{"spiffe://other.test", "roots"}}};
  ASSERT_OK(store_.Put(svid, {"name:a", "b"}));
  EXPECT_EQ(seen.svid().spiffeid(), "spiffe://example.org/w");
  EXPECT_THAT(seen.svid().cert_chain(), ElementsAre("leaf", "between"));
  EXPECT_EQ(seen.svid().private_key(), "key");
  EXPECT_THAT(seen.svid().bundle(), ElementsAre("root"));
  EXPECT_EQ(seen.svid().expires_at(), 17);
  EXPECT_THAT(seen.metadata(), ElementsAre("name:a", "b"));
  EXPECT_EQ(seen.federated_bundles().at("spiffe://other.test"), "roots");
}

TEST_F(SvidStorePluginTest, DeletesByMetadataAndTellsErrors) {
  svidstore::DeleteX509SVIDRequest seen;
  On<svidstore::DeleteX509SVIDRequest, svidstore::DeleteX509SVIDResponse>(
      "DeleteX509SVID", seen, InvalidArgument("no name"));
  Start();
  EXPECT_THAT(store_.Delete({"x"}),
              StatusIs(absl::StatusCode::kInvalidArgument, "svidstore(disk): no name"));
  EXPECT_THAT(seen.metadata(), ElementsAre("x"));
}

TEST_F(SvidStorePluginTest, OneThatDoesNotAnswerFailsInTime) {
  server_.Hang(std::string(kService) + "PutX509SVID");
  Start();
  SvidStorePlugin hasty(connection_, absl::Milliseconds(100));
  EXPECT_THAT(hasty.Put({}, {}),
              StatusIs(absl::StatusCode::kDeadlineExceeded, StartsWith("svidstore(disk): ")));
}

}  // namespace
}  // namespace assay
