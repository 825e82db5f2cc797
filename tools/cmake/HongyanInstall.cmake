# What `cmake --install build` puts below its prefix: base, runtime and rpc for services of other source trees, with the
# generator and the files that find_package(Hongyan) reads. Nothing of the product itself. The target `packages` builds
# all of it; docs/guide/service.md shows how it is used.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

file(STRINGS ${CMAKE_SOURCE_DIR}/VERSION HONGYAN_PACKAGE_VERSION LIMIT_COUNT 1)

# The runtime with the real Env is what a program links; a test needs only the core and the Env for tests.
add_library(hongyan_os_runtime INTERFACE)
target_link_libraries(hongyan_os_runtime INTERFACE runtime runtime_os)

# These and the rooms below them.
function(hongyan_with_rooms_below out)
  set(found)
  set(waiting ${ARGN})
  while(waiting)
    list(POP_FRONT waiting target)
    if(TARGET ${target} AND NOT target IN_LIST found AND NOT target STREQUAL hongyan_flags)
      get_target_property(imported ${target} IMPORTED)
      if(NOT imported)
        list(APPEND found ${target})
        get_target_property(libraries ${target} INTERFACE_LINK_LIBRARIES)
        list(APPEND waiting ${libraries})
      endif()
    endif()
  endwhile()
  set(${out} ${found} PARENT_SCOPE)
endfunction()
hongyan_with_rooms_below(HONGYAN_INSTALLED rpc rpc_routing runtime_os runtime_testing)
message(VERBOSE "installed: ${HONGYAN_INSTALLED}")

set_target_properties(hongyan_flags PROPERTIES EXPORT_NAME flags)
set_target_properties(hongyan_os_runtime PROPERTIES EXPORT_NAME runtime)
set_target_properties(runtime PROPERTIES EXPORT_NAME runtime_core)
set_target_properties(protoc_gen_hongyan PROPERTIES EXPORT_NAME protoc_gen_hongyan OUTPUT_NAME protoc-gen-hongyan)
foreach(target ${HONGYAN_INSTALLED})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME hongyan_${target})
endforeach()
add_custom_target(packages DEPENDS ${HONGYAN_INSTALLED} protoc_gen_hongyan)

install(TARGETS hongyan_flags hongyan_os_runtime ${HONGYAN_INSTALLED} protoc_gen_hongyan EXPORT HongyanTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
# Included as in this tree: "rpc/server.h".
install(DIRECTORY src/base src/runtime src/rpc DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/hongyan
        FILES_MATCHING PATTERN "*.h" PATTERN "rpc/options.proto"
        PATTERN "runtime/hook" EXCLUDE PATTERN "rpc/codegen" EXCLUDE PATTERN "rpc/testing" EXCLUDE)
install(FILES ${CMAKE_BINARY_DIR}/gen/rpc/options.pb.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/hongyan/rpc)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Hongyan)
set(HONGYAN_PROTO_DIR ${CMAKE_INSTALL_INCLUDEDIR}/hongyan)
configure_package_config_file(tools/cmake/HongyanConfig.cmake.in ${CMAKE_BINARY_DIR}/package/HongyanConfig.cmake
                              INSTALL_DESTINATION ${config_dir} PATH_VARS HONGYAN_PROTO_DIR)
# Before a 1.0 every minor version may differ.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/HongyanConfigVersion.cmake
                                 VERSION ${HONGYAN_PACKAGE_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/package/HongyanConfig.cmake ${CMAKE_BINARY_DIR}/package/HongyanConfigVersion.cmake
        tools/cmake/HongyanServiceProtos.cmake DESTINATION ${config_dir})
install(EXPORT HongyanTargets NAMESPACE hongyan:: DESTINATION ${config_dir})
