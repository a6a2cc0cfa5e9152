// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/sds_request_check.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdint>

namespace assay {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr int kExtensionsOfNode = 9;
constexpr int kDetailsOfStatus = 3;

struct Field {
  int number = 0;
  std::string_view whole;    // With its tag.
  std::string_view content;  // Of one with a length.
};

absl::Status Malformed() {
  return Internal(
      "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data");
}

// Takes the first field off the bytes.
absl::StatusOr<Field> Next(std::string_view& bytes) {
  CodedInputStream input(reinterpret_cast<const uint8_t*>(bytes.data()),
                         static_cast<int>(bytes.size()));
  const uint32_t tag = input.ReadTag();
  Field field{.number = WireFormatLite::GetTagFieldNumber(tag), .whole = {}, .content = {}};
  // No message of SDS has one, and it would count as one field, however many are in it.
  if (WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_START_GROUP) {
    return InvalidArgument("the request has a group, field {}", field.number);
  }
  if (WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
    uint32_t size = 0;
    if (!input.ReadVarint32(&size) ||
        size > bytes.size() - static_cast<size_t>(input.CurrentPosition())) {
      return Malformed();
    }
    field.content = bytes.substr(static_cast<size_t>(input.CurrentPosition()), size);
    input.Skip(static_cast<int>(size));
  } else if (tag == 0 || !WireFormatLite::SkipField(&input, tag)) {
    return Malformed();
  }
  const auto end = static_cast<size_t>(input.CurrentPosition());
  field.whole = bytes.substr(0, end);
  bytes.remove_prefix(end);
  return field;
}

// Over all fields of that name, which the parser would merge into one message.
class FieldCount {
 public:
  absl::Status Add(std::string_view of) {
    return ++fields_ <= kMaxSdsFields
               ? absl::OkStatus()
               : InvalidArgument("the request's {} has more than {} fields", of, kMaxSdsFields);
  }

 private:
  size_t fields_ = 0;
};

struct Counts {
  FieldCount request, node, error_detail;
  size_t node_bytes = 0;
};

absl::Status CheckNode(std::string_view node, Counts& counts) {
  while (!node.empty()) {
    ASSIGN_OR_RETURN(const Field field, Next(node));
    RETURN_IF_ERROR(counts.node.Add("node"));
    counts.node_bytes += field.number == kExtensionsOfNode ? 0 : field.whole.size();
    if (counts.node_bytes > kMaxSdsNodeBytes) {
      return InvalidArgument("the request's node has more than {} bytes besides its extensions",
                             kMaxSdsNodeBytes);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckErrorDetail(std::string_view detail, Counts& counts) {
  while (!detail.empty()) {
    ASSIGN_OR_RETURN(const Field field, Next(detail));
    RETURN_IF_ERROR(counts.error_detail.Add("error_detail"));
    std::string_view any = field.number == kDetailsOfStatus ? field.content : "";
    while (!any.empty()) {
      RETURN_IF_ERROR(Next(any).status());
      RETURN_IF_ERROR(counts.error_detail.Add("error_detail"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSdsRequest(std::string_view bytes, const SdsRequestForm& form) {
  Counts counts;
  while (!bytes.empty()) {
    ASSIGN_OR_RETURN(const Field field, Next(bytes));
    RETURN_IF_ERROR(counts.request.Add("message"));
    if (field.number == form.node) {
      RETURN_IF_ERROR(CheckNode(field.content, counts));
    } else if (field.number == form.error_detail) {
      RETURN_IF_ERROR(CheckErrorDetail(field.content, counts));
    }
  }
  return absl::OkStatus();
}

}  // namespace assay
