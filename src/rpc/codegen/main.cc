// protoc runs this as protoc-gen-hongyan: a request on standard input, files on standard output.
#include <google/protobuf/compiler/plugin.h>

#include "rpc/codegen/generator.h"

int main(int argc, char** argv) {
  const hongyan::rpc::codegen::Generator generator;
  return google::protobuf::compiler::PluginMain(argc, argv, &generator);
}
