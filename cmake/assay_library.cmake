# SPDX-License-Identifier: GPL-3.0-or-later
# One static library and one test binary a folder, sources listed by hand.

# What nearly every source includes, read once: half of the time to build. Only in the release preset,
# so that the others find a source that forgot an include, and ccache serves them.
add_library(assay_headers OBJECT "${CMAKE_SOURCE_DIR}/cmake/headers.cc")
target_link_libraries(assay_headers PRIVATE ABSL PkgConfig::FMT protobuf::libprotobuf)
target_compile_options(assay_headers PRIVATE ${ASSAY_WARNINGS})
target_precompile_headers(assay_headers PRIVATE
  <absl/status/statusor.h> <absl/time/time.h> <fmt/format.h> <google/protobuf/wrappers.pb.h>
  <algorithm> <array> <deque> <functional> <map> <memory> <optional> <set> <string> <string_view>
  <unordered_map> <utility> <vector>)

# assay_library(NAME SRCS ... [DEPS ...] [TESTS ...] [TEST_DEPS ...])
# makes target assay_NAME, and test binary NAME_test when TESTS are given.
function(assay_library NAME)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS;TESTS;TEST_DEPS" ${ARGN})
  add_library(assay_${NAME} STATIC ${ARG_SRCS})
  target_compile_options(assay_${NAME} PRIVATE ${ASSAY_WARNINGS})
  target_link_libraries(assay_${NAME} PUBLIC ${ARG_DEPS})
  target_precompile_headers(assay_${NAME} REUSE_FROM assay_headers)
  if(ARG_TESTS)
    assay_test(${NAME}_test LABEL unit SRCS ${ARG_TESTS} DEPS assay_${NAME} ${ARG_TEST_DEPS})
  endif()
endfunction()

# assay_test(NAME LABEL unit|integration|conformance SRCS ... DEPS ...): a test binary of GoogleTest, with the
# label gtest besides.
function(assay_test NAME)
  cmake_parse_arguments(ARG "" "LABEL" "SRCS;DEPS" ${ARGN})
  add_executable(${NAME} ${ARG_SRCS})
  target_compile_options(${NAME} PRIVATE ${ASSAY_WARNINGS})
  target_link_libraries(${NAME} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  add_test(NAME ${NAME} COMMAND ${NAME})
  set_tests_properties(${NAME} PROPERTIES LABELS "${ARG_LABEL};gtest" TIMEOUT 300)
endfunction()

# assay_proto(NAME PROTOS ... [GRPC]): protobuf code, with gRPC client stubs when GRPC is given.
# Paths are relative to proto/, as the imports in the files are.
function(assay_proto NAME)
  cmake_parse_arguments(ARG "GRPC" "" "PROTOS;DEPS" ${ARGN})
  set(generated)
  foreach(proto ${ARG_PROTOS})
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    set(out "${CMAKE_BINARY_DIR}/gen/${stem}")
    set(outputs "${out}.pb.cc" "${out}.pb.h")
    set(grpc_flags)
    if(ARG_GRPC)
      list(APPEND outputs "${out}.grpc.pb.cc" "${out}.grpc.pb.h")
      set(grpc_flags "--plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN}"
                     "--grpc_out=${CMAKE_BINARY_DIR}/gen")
    endif()
    # Debian 12's protoc takes a package's part for a namespace though it is a keyword; newer ones call
    # that private_ too.
    set(mend)
    if(proto MATCHES "/private/")
      set(mend COMMAND sed -i -e "s/namespace private /namespace private_ /g"
               -e "s/::private::/::private_::/g" ${outputs})
    endif()
    add_custom_command(
      OUTPUT ${outputs}
      COMMAND ${CMAKE_COMMAND} -E make_directory "${CMAKE_BINARY_DIR}/gen"
      COMMAND protobuf::protoc -I "${CMAKE_SOURCE_DIR}/proto" "--cpp_out=${CMAKE_BINARY_DIR}/gen"
              ${grpc_flags} "${proto}"
      ${mend}
      DEPENDS "${CMAKE_SOURCE_DIR}/proto/${proto}"
      WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}/proto"
      VERBATIM)
    list(APPEND generated ${outputs})
    if(ARG_GRPC)
      # What the stubs include takes nearly all of the time to build them.
      set_source_files_properties("${out}.grpc.pb.cc" PROPERTIES UNITY_GROUP stubs)
    endif()
  endforeach()
  add_library(assay_proto_${NAME} STATIC ${generated})
  set_target_properties(assay_proto_${NAME} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  target_compile_options(assay_proto_${NAME} PRIVATE -Wpedantic)  # Precompiled headers want the same.
  target_precompile_headers(assay_proto_${NAME} REUSE_FROM assay_headers)
  target_include_directories(assay_proto_${NAME} SYSTEM PUBLIC "${CMAKE_BINARY_DIR}/gen")
  target_link_libraries(assay_proto_${NAME} PUBLIC protobuf::libprotobuf ${ARG_DEPS})
  if(ARG_GRPC)
    target_link_libraries(assay_proto_${NAME} PUBLIC GRPC)
  endif()
endfunction()
