// What the generator knows of a .proto after it has checked it: names as C++ spells them, options resolved.
#pragma once

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace hongyan::rpc::codegen {

struct MethodModel {
  std::string name;        // "AppendToPeer"
  std::string function;    // "append_to_peer"
  std::string full_name;
  uint32_t id = 0;
  std::string request;     // "::hongyan::internal::AppendRequest"
  std::string response;

  // Policy. Fields are names of accessors; empty: not declared.
  std::string owner_field;
  std::string device_field;
  std::string grant_right;
  std::string grant_issuer;
  std::string grant_object_field;
  std::string grant_field;
  std::vector<std::string> services;
  bool is_public = false;
  bool all = false;

  uint32_t command_id = 0;
  std::string command_path;
  bool command_anonymous = false;
  uint32_t priority = 0;
  bool idempotent = false;

  std::string key_field;     // Empty: the method has no routing key.
  bool key_is_text = false;  // Bytes or a string: hashed.
};

struct ServiceModel {
  std::string name;    // "Inbox"
  std::string prefix;  // "inbox"
  std::vector<MethodModel> methods;
};

struct FileModel {
  std::string path;       // "api/internal/inbox.proto"
  std::string stem;       // "api/internal/inbox"
  std::string name_space; // "hongyan::internal"; empty: none.
  std::vector<ServiceModel> services;
};

// Code::invalid with a sentence that names file, service and method.
Result<FileModel> describe(const google::protobuf::FileDescriptor& file);

// "AppendToPeer" -> "append_to_peer", "FindByURL" -> "find_by_url".
std::string snake_case(std::string_view name);

// The method's number on the wire: the first 4 big-endian bytes of the stable hash of its full name.
uint32_t method_id(std::string_view full_name);

}  // namespace hongyan::rpc::codegen
