#include "rpc/reflection.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <set>

namespace hongyan::rpc {

namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::ServiceDescriptor;

struct Served {
  std::set<const ServiceDescriptor*> services;
  std::set<const FileDescriptor*> files;  // In the set already.
};

// Whoever reads the set in its order knows every import of a file before the file.
void add(const FileDescriptor& file, Served& served, google::protobuf::FileDescriptorSet& set) {
  if (!served.files.insert(&file).second) return;
  for (int i = 0; i < file.dependency_count(); ++i) add(*file.dependency(i), served, set);
  auto& added = *set.add_file();
  file.CopyTo(&added);
  for (int i = file.service_count() - 1; i >= 0; --i) {
    if (!served.services.contains(file.service(i))) added.mutable_service()->DeleteSubrange(i, 1);
  }
}

}  // namespace

std::string describe_served(std::span<const MethodInfo* const> methods) {
  const auto& pool = *google::protobuf::DescriptorPool::generated_pool();
  Served served;
  for (const MethodInfo* method : methods) {
    const auto* found = pool.FindMethodByName(std::string(method->full_name));
    if (found != nullptr) served.services.insert(found->service());
  }
  google::protobuf::FileDescriptorSet set;
  // By the methods' order, which is the same in every run; addresses are not.
  for (const MethodInfo* method : methods) {
    const auto* found = pool.FindMethodByName(std::string(method->full_name));
    if (found != nullptr) add(*found->file(), served, set);
  }
  return set.SerializeAsString();
}

}  // namespace hongyan::rpc
