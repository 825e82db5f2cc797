// The protoc plugin of rpc: for every service of a .proto it writes a server base, a client, a fake for tests and the
// table of methods (<stem>.rpc.pb.{h,cc}, in the file's package). It refuses what must not compile: a method that
// declares neither a policy nor a command, a policy that names a missing field or one of the wrong type, two commands
// with one id or path, two methods with one id. The error names file, service and method.
#pragma once

#include <google/protobuf/compiler/code_generator.h>

#include <string>

namespace hongyan::rpc::codegen {

class Generator : public google::protobuf::compiler::CodeGenerator {
 public:
  bool Generate(const google::protobuf::FileDescriptor* file, const std::string& parameter,
                google::protobuf::compiler::GeneratorContext* context, std::string* error) const override;
  uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL; }
};

}  // namespace hongyan::rpc::codegen
