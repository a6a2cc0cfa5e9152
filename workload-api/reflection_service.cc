// SPDX-License-Identifier: GPL-3.0-or-later
#include "workload-api/reflection_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "grpc/reflection/v1/reflection.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"

namespace assay {

namespace reflection = grpc::reflection::v1;

namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using Request = reflection::ServerReflectionRequest;
using Response = reflection::ServerReflectionResponse;

// Of names; it comes back in the answer.
constexpr size_t kMaxRequestBytes = 1024;
// Of answers that the caller has not read when it asks again.
constexpr size_t kMaxPendingBytes = 32 << 10;

// The files described so far, serialized; as many as are linked in.
using Files = std::map<const FileDescriptor*, std::string>;

// Both versions are the same bytes on the wire, so one handler serves them.
class ReflectionHandler final : public rpc::CallHandler {
 public:
  ReflectionHandler(rpc::Call& call, const rpc::Registry& registry, Files& files)
      : call_(call), registry_(registry), files_(files) {}

  void OnMessage(std::string_view bytes) override {
    if (bytes.size() > kMaxRequestBytes) {
      call_.Finish(InvalidArgument("the request has {} bytes, more than the {} allowed here",
                                   bytes.size(), kMaxRequestBytes));
      return;
    }
    if (call_.pending_bytes() > kMaxPendingBytes) {
      call_.Finish(ResourceExhausted("answers must be read before more is asked"));
      return;
    }
    Request request;
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      call_.Finish(InvalidArgument("the request cannot be parsed"));
      return;
    }
    Response response;
    response.set_valid_host(request.host());
    if (const absl::Status status = Answer(request, response); !status.ok()) {
      if (status.code() != absl::StatusCode::kNotFound) {
        call_.Finish(status);
        return;
      }
      response.mutable_error_response()->set_error_code(static_cast<int>(status.code()));
      response.mutable_error_response()->set_error_message(std::string(Message(status)));
    }
    *response.mutable_original_request() = std::move(request);
    call_.Send(std::make_shared<const rpc::Frame>(response));
  }
  void OnHalfClose() override { call_.Finish(absl::OkStatus()); }

 private:
  absl::Status Answer(const Request& request, Response& response);
  absl::Status AnswerFile(const FileDescriptor* file, std::string_view name, Response& response);
  absl::Status AnswerExtension(const reflection::ExtensionRequest& wanted, Response& response);
  absl::Status AnswerExtensionNumbers(const std::string& type, Response& response);

  rpc::Call& call_;
  const rpc::Registry& registry_;
  Files& files_;
  const DescriptorPool& pool_ = *DescriptorPool::generated_pool();
  std::set<const FileDescriptor*> sent_;
};

absl::Status ReflectionHandler::Answer(const Request& request, Response& response) {
  switch (request.message_request_case()) {
    case Request::kFileByFilename:
      return AnswerFile(pool_.FindFileByName(request.file_by_filename()),
                        request.file_by_filename(), response);
    case Request::kFileContainingSymbol:
      return AnswerFile(pool_.FindFileContainingSymbol(request.file_containing_symbol()),
                        request.file_containing_symbol(), response);
    case Request::kFileContainingExtension:
      return AnswerExtension(request.file_containing_extension(), response);
    case Request::kAllExtensionNumbersOfType:
      return AnswerExtensionNumbers(request.all_extension_numbers_of_type(), response);
    case Request::kListServices:
      for (const std::string& name : registry_.Services()) {
        response.mutable_list_services_response()->add_service()->set_name(name);
      }
      return absl::OkStatus();
    default:
      return InvalidArgument("the request asks nothing that is known");
  }
}

absl::Status ReflectionHandler::AnswerFile(const FileDescriptor* file, std::string_view name,
                                           Response& response) {
  if (file == nullptr) {
    return NotFound("{} is not known", Quoted(name));
  }
  auto* files = response.mutable_file_descriptor_response();
  std::vector<const FileDescriptor*> wanted = {file};
  // The file asked for always, what it imports only once on a stream.
  sent_.erase(file);
  while (!wanted.empty()) {
    const FileDescriptor* next = wanted.back();
    wanted.pop_back();
    if (!sent_.insert(next).second) {
      continue;
    }
    std::string& bytes = files_[next];
    if (bytes.empty()) {
      google::protobuf::FileDescriptorProto proto;
      next->CopyTo(&proto);
      bytes = proto.SerializeAsString();
    }
    files->add_file_descriptor_proto(bytes);
    for (int i = 0; i < next->dependency_count(); ++i) {
      wanted.push_back(next->dependency(i));
    }
  }
  return absl::OkStatus();
}

absl::Status ReflectionHandler::AnswerExtension(const reflection::ExtensionRequest& wanted,
                                                Response& response) {
  const auto* type = pool_.FindMessageTypeByName(wanted.containing_type());
  const auto* extension =
      type == nullptr ? nullptr : pool_.FindExtensionByNumber(type, wanted.extension_number());
  return AnswerFile(extension == nullptr ? nullptr : extension->file(), wanted.containing_type(),
                    response);
}

absl::Status ReflectionHandler::AnswerExtensionNumbers(const std::string& type_name,
                                                       Response& response) {
  const auto* type = pool_.FindMessageTypeByName(type_name);
  if (type == nullptr) {
    return NotFound("{} is not known", Quoted(type_name));
  }
  std::vector<const google::protobuf::FieldDescriptor*> extensions;
  pool_.FindAllExtensions(type, &extensions);
  auto* numbers = response.mutable_all_extension_numbers_response();
  numbers->set_base_type_name(type_name);
  for (const auto* extension : extensions) {
    numbers->add_extension_number(extension->number());
  }
  return absl::OkStatus();
}

}  // namespace

void AddReflection(rpc::Registry& registry) {
  // Links the older version's descriptors in, so that it can describe itself.
  grpc::reflection::v1alpha::ServerReflectionRequest::descriptor();
  const auto files = std::make_shared<Files>();
  for (const char* version : {"v1", "v1alpha"}) {
    registry.Add(fmt::format("/grpc.reflection.{}.ServerReflection/ServerReflectionInfo", version),
                 [&registry, files](rpc::Call& call) {
                   return std::make_unique<ReflectionHandler>(call, registry, *files);
                 });
  }
}

}  // namespace assay
