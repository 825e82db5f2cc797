# hongyan_service_protos(target file.proto ... [ROOT dir]) generates messages, server bases, clients and fakes of the
# files' services and compiles them into the target. Paths, and what is included ("word_count.rpc.pb.h"), are below ROOT:
# the current source directory, when none is said.
function(hongyan_service_protos target)
  cmake_parse_arguments(P "" "ROOT" "" ${ARGN})
  if(NOT P_ROOT)
    set(P_ROOT ${CMAKE_CURRENT_SOURCE_DIR})
  endif()
  get_filename_component(root ${P_ROOT} ABSOLUTE)
  set(gen ${CMAKE_CURRENT_BINARY_DIR}/gen)
  file(MAKE_DIRECTORY ${gen})
  foreach(proto ${P_UNPARSED_ARGUMENTS})
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    set(sources ${gen}/${stem}.pb.cc ${gen}/${stem}.rpc.pb.cc ${gen}/${stem}.flags.pb.cc)
    set(outputs ${sources})
    list(TRANSFORM outputs REPLACE "\\.cc$" ".h")
    list(APPEND outputs ${sources})
    list(SORT outputs)  # As protoc names them in the depfile: ninja wants the first there, or it generates all at each build.
    add_custom_command(
      OUTPUT ${outputs}
      COMMAND protobuf::protoc -I${root} -I${HONGYAN_PROTO_DIR} --cpp_out=${gen}
              --plugin=protoc-gen-hongyan=$<TARGET_FILE:hongyan::protoc_gen_hongyan> --hongyan_out=${gen}
              --dependency_out=${gen}/${stem}.d ${root}/${proto}
      DEPENDS ${root}/${proto} hongyan::protoc_gen_hongyan
      DEPFILE ${gen}/${stem}.d
      VERBATIM)
    # Generated code is cold and large.
    set_source_files_properties(${sources} PROPERTIES COMPILE_OPTIONS "-O1;-w")
    target_sources(${target} PRIVATE ${sources})
  endforeach()
  target_include_directories(${target} PUBLIC ${gen})
  target_link_libraries(${target} PUBLIC hongyan::rpc)
endfunction()
